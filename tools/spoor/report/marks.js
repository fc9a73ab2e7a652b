// SPDX-License-Identifier: MIT
// The library, the page's colours, and what all plots share.
"use strict";

const vega = (() => {
	const all = vegaRequire;

	Object.assign(all("vega-dataflow").transforms, all("vega-transforms"),
		all("vega-view-transforms"), all("vega-encode"));
	for (const [name, f] of Object.entries({ bytes, rate, count, short, ms,
		percent }))
		all("vega-functions").expressionFunction(name, f);
	return {
		parse: all("vega-parser").parse, View: all("vega-view").View,
		expr: all("vega-interpreter").expressionInterpreter,
	};
})();

function colour(name) {
	return getComputedStyle(document.documentElement)
		.getPropertyValue(`--${name}`).trim();
}

function series(i) {
	return colour(`series-${i % 6 + 1}`);
}

const stateColours = ["RUNNING", "RUNNING_P2P", "PRE_COPY", "PRE_COPY_P2P",
	"STOP", "STOP_COPY", "RESUMING", "ERROR"];

function stateColour(state) {
	return colour(stateColours.includes(state) ?
		`state-${state.toLowerCase().replaceAll("_", "-")}` : "muted");
}

function config() {
	const font = "system-ui, sans-serif";
	const axis = {
		domainColor: colour("line"), tickColor: colour("line"),
		gridColor: colour("grid"), labelColor: colour("muted"),
		titleColor: colour("muted"), labelFont: font, titleFont: font,
		titleFontWeight: "normal", labelFontSize: 11, titleFontSize: 11,
		labelOverlap: true, titlePadding: 6,
	};

	return { axis, text: { font, fontSize: 11, fill: colour("text") } };
}

// A plot as wide as its place: parts add scales, axes and marks.
function plot(description, height, parts) {
	return {
		$schema: "vega", description, height, width: 300, padding: 2,
		autosize: { type: "fit", contains: "padding", resize: true },
		...parts,
	};
}

function axisText(format) {
	return { labels: { update: { text: {
		signal: `${format.name}(datum.value)` } } } };
}

const views = [];
let failures = 0;

function fail(where, what) {
	failures++;
	console.error(where, what);
	document.documentElement.dataset.error = String(what);
}

function logger() {
	const log = {
		level: () => log, info: () => log, debug: () => log,
		warn: (...what) => (fail("plot", what.join(" ")), log),
		error: (...what) => (fail("plot", what.join(" ")), log),
	};

	return log;
}

function widthOf(place) {
	return Math.max(120, Math.floor(place.clientWidth));
}

// @make is called again when colours change.
async function draw(place, make) {
	const spec = make();
	const view = new vega.View(vega.parse(spec, config(), { ast: true }), {
		renderer: "svg", container: place, expr: vega.expr,
		logger: logger(),
	});

	views.push({ view, place, make });
	await view.width(widthOf(place)).runAsync();
	place.dataset.drawn = "";
}

async function redraw() {
	const old = views.splice(0);

	for (const v of old) {
		v.view.finalize();
		v.place.replaceChildren();
		await draw(v.place, v.make);
	}
}

function fit() {
	for (const v of views)
		if (v.view.width() !== widthOf(v.place))
			v.view.width(widthOf(v.place)).runAsync();
}
