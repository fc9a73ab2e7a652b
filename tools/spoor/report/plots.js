// SPDX-License-Identifier: MIT
// Every kind of plot, as the library wants it.
"use strict";

// Bytes are counted in powers of two, and so are their ticks.
function ticks(format, most, nr) {
	const step = 2 ** Math.ceil(Math.log2(most / 5));

	if (format !== bytes && format !== rate)
		return { tickCount: { signal: nr } };
	return { values: Array.from({ length: Math.floor(most / step) + 1 },
		(_, i) => i * step) };
}

// Columns by round, stacked if rows have a series.
function columnPlot({ description, rows, format, xTitle, colours }) {
	const from = { data: "rows" };
	const sum = new Map();

	for (const r of rows)
		sum.set(r.x, (sum.get(r.x) || 0) + r.value);

	const most = Math.max(...sum.values()) * 1.08 || 1;
	const stack = { type: "stack", groupby: ["x"], field: "value" };
	const sums = { type: "aggregate", groupby: ["x"], fields: ["value"],
		ops: ["sum"], as: ["value"] };

	return plot(description, 190, {
		data: [{ name: "rows", values: rows.filter((r) => r.value),
			transform: [stack] },
			{ name: "sums", source: "rows", transform: [sums] }],
		scales: [
			{ name: "x", type: "band", range: "width", padding: 0.25,
				domain: [...sum.keys()] },
			{ name: "y", range: "height", zero: true,
				domain: [0, most] },
			{ name: "fill", type: "ordinal", domain: Object.keys(colours),
				range: Object.values(colours) },
		],
		axes: [
			{ orient: "left", scale: "y", ...ticks(format, most, "4"),
				grid: true, domain: false, ticks: false,
				encode: axisText(format === count ? short : format) },
			{ orient: "bottom", scale: "x", title: xTitle, ticks: false },
		],
		marks: [{
			type: "rect", from, encode: { update: {
				x: { scale: "x", field: "x" },
				width: { signal: "min(bandwidth('x'), 64)" },
				xc: { scale: "x", field: "x", band: 0.5 },
				y: { scale: "y", field: "y0" },
				y2: { scale: "y", field: "y1" },
				fill: { scale: "fill", field: "series" },
				stroke: { value: colour("surface") },
				strokeWidth: { signal: "bandwidth('x') > 20 ? 1 : 0" },
				tooltip: { signal: `datum.series + ', round ' + datum.x +
					': ' + ${format.name}(datum.value)` },
			} },
		}, {
			type: "text", from: { data: "sums" }, encode: { update: {
				x: { scale: "x", field: "x", band: 0.5 },
				y: { scale: "y", field: "value", offset: -4 },
				align: { value: "center" },
				fontSize: { value: 10 },
				opacity: { signal: `width / ${sum.size} > 46 ? 1 : 0` },
				text: { signal: `${format.name}(datum.value)` },
			} },
		}],
	});
}

// Memory upside down, as addresses are read; a column a round.
function heatPlot({ description, heat }) {
	const ticks = heatTicks(heat);

	return plot(description, 380, {
		data: [{ name: "cells", values: heat.cells },
			{ name: "regions", values: heat.regions.slice(1) }],
		scales: [
			{ name: "x", type: "band", range: "width", domain: heat.rounds,
				paddingInner: 0.02 },
			{ name: "y", range: [0, { signal: "height" }],
				domain: [0, heat.end], zero: false },
			{ name: "label", type: "ordinal",
				domain: ticks.map((t) => t.at),
				range: ticks.map((t) => t.label) },
			{ name: "fill", type: "linear", domain: [0, 1],
				range: [colour("heat-low"), colour("heat-high")],
				interpolate: "lab" },
		],
		axes: [
			{ orient: "left", scale: "y", values: ticks.map((t) => t.at),
				encode: { labels: { update: { text: {
					signal: "scale('label', datum.value)" } } } } },
			{ orient: "bottom", scale: "x", ticks: false,
				title: "dirtied while this round was sent" },
		],
		marks: [{
			type: "rect", from: { data: "cells" }, aria: false,
			encode: { update: {
				x: { scale: "x", field: "round" },
				width: { scale: "x", band: 1 },
				// Whole pixels: no stripes between neighbours.
				y: { signal: "floor(scale('y', datum.y))" },
				y2: { signal: "max(ceil(scale('y', datum.y2)), " +
					"floor(scale('y', datum.y)) + 1)" },
				fill: { scale: "fill", field: "part" },
				tooltip: { signal: "datum.iova + ' to ' + datum.last + " +
					"': ' + count(datum.pages) + ' pages, ' + " +
					"percent(datum.part)" },
			} },
		}, {
			type: "rule", from: { data: "regions" }, encode: { update: {
				x: { value: 0 }, x2: { signal: "width" },
				y: { scale: "y", field: "at" },
				stroke: { value: colour("line") },
				strokeDash: { value: [3, 3] },
			} },
		}],
	});
}

// Bars on time lines, with shaded bands behind them.
function timePlot({ description, rows, spans, gaps, bands, domain }) {
	const x = (field) => ({ scale: "x", field });
	const wide = (least) => ({ signal: "max(scale('x', datum.end), " +
		`scale('x', datum.begin) + ${least})` });
	const visible = gaps.filter((g) => g.end > domain[0] &&
		g.begin < domain[1]);

	return plot(description, 40 + 19 * rows.length, {
		data: [{ name: "spans", values: spans },
			{ name: "gaps", values: visible },
			{ name: "bands", values: bands }],
		scales: [
			{ name: "x", range: "width", domain, zero: false, nice: false },
			{ name: "y", type: "band", range: "height",
				domain: rows.map((r) => r.key),
				paddingInner: 0.25, paddingOuter: 0.15 },
			{ name: "label", type: "ordinal",
				domain: rows.map((r) => r.key),
				range: rows.map((r) => `${cut(r.device, 13)} ${r.what}`) },
			{ name: "fill", type: "ordinal", domain: stateColours,
				range: stateColours.map(stateColour) },
		],
		axes: [
			{ orient: "left", scale: "y", ticks: false, domain: false,
				labelLimit: 130, labelOverlap: false,
				encode: { labels: { update: { text: {
					signal: "scale('label', datum.value)" } } } } },
			{ orient: "bottom", scale: "x", tickCount: { signal: "width / 90" },
				grid: true, encode: axisText(ms) },
		],
		marks: [{
			type: "rect", from: { data: "bands" }, clip: true,
			encode: { update: {
				x: x("begin"), x2: wide(1),
				y: { value: 0 }, y2: { signal: "height" },
				fill: { field: "fill" },
				tooltip: { field: "what" },
			} },
		}, {
			type: "rect", from: { data: "spans" }, clip: true,
			encode: { update: {
				x: x("begin"), x2: wide(1),
				y: { scale: "y", field: "row" },
				height: { scale: "y", band: 1 },
				cornerRadius: { value: 2 },
				fill: { scale: "fill", field: "state" },
				tooltip: { signal: "datum.device + ' at the ' + datum.side + " +
					"': ' + datum.state + ', ' + " +
					"ms(datum.begin) + ' to ' + ms(datum.end)" },
			} },
		}, {
			type: "rect", from: { data: "gaps" }, clip: true,
			encode: { update: {
				x: x("begin"), x2: wide(2),
				y: { scale: "y", field: "row", band: 0.05 },
				height: { scale: "y", band: 0.9 },
				cornerRadius: { value: 2 },
				fill: { value: colour("gap") },
				tooltip: { signal: "datum.device + ' not served: ' + " +
					"ms(datum.begin) + ' to ' + ms(datum.end)" },
			} },
		}, {
			type: "text", from: { data: "gaps" }, clip: true,
			encode: { update: {
				x: { signal: "scale('x', datum.end) < width - 70 ? " +
					"max(0, scale('x', datum.end)) + 4 : " +
					"scale('x', datum.begin) > 70 ? " +
					"scale('x', datum.begin) - 4 : width / 2" },
				align: { signal: "scale('x', datum.end) < width - 70 ? " +
					"'left' : scale('x', datum.begin) > 70 ? 'right' : " +
					"'center'" },
				fill: { signal: "scale('x', datum.end) >= width - 70 && " +
					"scale('x', datum.begin) <= 70 ? " +
					`'${colour("surface")}' : '${colour("text")}'` },
				y: { scale: "y", field: "row", band: 0.5 },
				baseline: { value: "middle" },
				fontWeight: { value: 600 },
				text: { signal: "ms(datum.gap)" },
			} },
		}],
	});
}

// Curves over page sizes, one for each of @lines; both axes by powers.  What
// was chosen of a line has a ring.
function curvePlot({ description, points, lines, format }) {
	const sizes = [...new Set(points.map((p) => p.size))].sort((a, b) => a - b);
	const rows = points.filter((p) => p.median > 0).map((p) => ({
		...p, min: p.min > 0 ? p.min : p.median, x: pageSize(p.size),
		hue: lines.indexOf(p.line),
	})).sort((a, b) => a.size - b.size);
	const most = rows.reduce((m, r) => Math.max(m, r.max), 0) || PAGE;
	const y = (field) => ({ scale: "y", field });
	const at = { scale: "x", field: "x" };
	const hue = { scale: "hue", field: "hue" };

	return plot(description, 240, {
		data: [{ name: "rows", values: rows }],
		scales: [
			{ name: "x", type: "point", range: "width", padding: 0.3,
				domain: sizes.map(pageSize) },
			{ name: "y", type: "log", base: format === bytes ? 2 : 10,
				range: "height", zero: false,
				// Room for rings.
				domain: [Math.min(...rows.map((r) => r.min), most / 2) * 0.9,
					most * 1.1] },
			{ name: "hue", type: "linear", interpolate: "lab",
				domain: [0, Math.max(1, lines.length - 1)],
				range: [colour("curve-first"), colour("curve-last")] },
		],
		axes: [
			{ orient: "left", scale: "y", grid: true, tickCount: 5,
				domain: false, ticks: false, encode: axisText(format) },
			{ orient: "bottom", scale: "x", title: "page size" },
		],
		marks: [{
			type: "group",
			from: { facet: { name: "line", data: "rows", groupby: "hue" } },
			marks: [{ type: "line", from: { data: "line" }, encode: { update: {
				x: at, y: y("median"), stroke: hue,
				strokeWidth: { value: 2 },
			} } }],
		}, {
			type: "rule", from: { data: "rows" }, encode: { update: {
				x: at, y: y("min"), y2: y("max"), stroke: hue,
				strokeWidth: { value: 1.5 },
			} },
		}, {
			type: "symbol", from: { data: "rows" }, encode: { update: {
				x: at, y: y("median"),
				size: { signal: "datum.chosen ? 260 : 0" },
				stroke: hue, fill: { value: "transparent" },
				strokeWidth: { value: 2 },
			} },
		}, {
			type: "symbol", from: { data: "rows" }, encode: { update: {
				x: at, y: y("median"), size: { value: 46 }, stroke: hue,
				// Not measured: hollow.
				fill: [{ test: "datum.origin === 'assumed'",
					value: colour("surface") }, hue],
				tooltip: { signal: "datum.x + ', ' + datum.what + ': ' + " +
					`${format.name}(datum.median) + ' ' + datum.origin` },
			} },
		}],
	});
}

// Bars by policy: measured, and predicted under it; their figures beside them.
function pairPlot({ description, rows, format }) {
	const values = rows.map((r) => ({ ...r,
		measured: r.measured || 0, predicted: r.predicted || 0,
		end: Math.max(r.measured || 0, r.predicted || 0, r.max || 0),
		text: format(r.measured) + (has(r.predicted) ?
			` (${format(r.predicted)})` : "") }));
	const most = Math.max(...values.map((r) => r.end)) || 1;
	const room = 12 + 6.4 * Math.max(...values.map((r) => r.text.length));
	const at = (offset) => ({ scale: "y", field: "policy", band: offset });
	const bar = (field, from, band, fill) => ({
		type: "rect", from: { data: "rows" }, encode: { update: {
			x: { scale: "x", value: 0 }, x2: { scale: "x", field },
			y: at(from), height: { scale: "y", band },
			fill: { value: fill }, cornerRadius: { value: 2 },
			tooltip: { signal: `datum.policy + ', ${field}: ' + ` +
				`${format.name}(datum.${field})` },
		} },
	});

	return plot(description, 36 + 34 * rows.length, {
		data: [{ name: "rows", values },
			{ name: "spread", values: values.filter((r) => has(r.max)) }],
		scales: [
			{ name: "x", domain: [0, most], zero: true,
				range: [0, { signal: `max(40, width - ${room})` }] },
			{ name: "y", type: "band", range: "height",
				domain: rows.map((r) => r.policy), padding: 0.2 },
		],
		axes: [
			{ orient: "left", scale: "y", ticks: false, domain: false,
				labelLimit: 110, labelOverlap: false },
			{ orient: "bottom", scale: "x", grid: true, domain: false,
				...ticks(format, most, `(width - ${room}) / 70`),
				ticks: false, encode: axisText(format) },
		],
		marks: [
			bar("measured", 0, 0.56, colour("series-1")),
			bar("predicted", 0.62, 0.34, colour("predicted")),
			{ type: "rule", from: { data: "spread" }, encode: { update: {
				x: { scale: "x", field: "min" },
				x2: { scale: "x", field: "max" }, y: at(0.28),
				stroke: { value: colour("text") },
				strokeWidth: { value: 1.5 },
			} } },
			{ type: "text", from: { data: "rows" }, encode: { update: {
				x: { scale: "x", field: "end", offset: 6 },
				y: at(0.3), baseline: { value: "middle" },
				text: { field: "text" },
			} } },
		],
	});
}
