// SPDX-License-Identifier: MIT
// The page: sections, figures with their tables, and when it is complete.
//
// All text goes in as text: names and notes come from files.
"use strict";

const waiting = [];

function el(tag, attributes, ...children) {
	const e = document.createElement(tag);

	for (const [k, v] of Object.entries(attributes || {}))
		e.setAttribute(k, v);
	e.append(...children.filter((c) => c !== null && c !== undefined));
	return e;
}

function table(caption, head, rows) {
	const cell = (tag, text, i) => el(tag, i ? { class: "n" } : {},
		text instanceof Node ? text : String(text));

	return el("div", { class: "scroll", tabindex: "0", role: "region",
		"aria-label": caption },
		el("table", {}, el("caption", {}, caption),
			el("thead", {}, el("tr", {}, ...head.map((t, i) => {
				const th = cell("th", t, i);

				th.scope = "col";
				return th;
			}))),
			el("tbody", {}, ...rows.map((r) => el("tr", {},
				...r.map((t, i) => cell("td", t, i)))))));
}

function legend(items) {
	return el("ul", { class: "legend" }, ...items.map(([name, fill]) =>
		el("li", {}, el("span", { style: `background:var(--${fill})` }),
			name)));
}

function figure(title, lead, plots, shown, legends) {
	const f = el("figure", {}, el("figcaption", {}, el("h3", {}, title),
		lead ? el("p", {}, lead) : null), legends);
	const grid = el("div", { class: plots.length > 1 ? "plots" : "" });

	for (const p of plots) {
		const place = el("div", { class: "plot" });

		grid.append(el("div", {}, p.title ? el("h4", {}, p.title) : null,
			place));
		waiting.push([place, p.make]);
	}
	f.append(grid);
	if (shown)
		f.append(el("details", {}, el("summary", {}, "Table"), shown));
	return f;
}

function cards(items) {
	return el("dl", { class: "cards" }, ...items.filter((i) => i).map(
		([name, value, more]) => el("div", {}, el("dt", {}, name),
			el("dd", {}, value, more ? el("small", {}, more) : null))));
}

function verdictOf(run) {
	const r = run.result;

	if (!r)
		return ["bad", "No result: the events end before the run does"];
	if (!r.ok)
		return ["bad", `Not moved: ${r.error || "it failed"}` +
			(r.running ? ` (the machine runs at: ${r.running})` : "")];
	return [r.verified ? "good" : "fair", `Moved: the machine runs at the ` +
		`${r.running || "destination"}, ` +
		`${r.verified ? "verified" : "not verified"}` +
		(r.error ? `; but: ${r.error}` : "")];
}

function summary(run) {
	const r = run.result || {};
	const [kind, text] = verdictOf(run);

	return [el("p", { class: `verdict ${kind}` }, text), cards([
		["Downtime", ms(r.downtime_ms),
			has(r.verify_ms) && r.verify_ms ?
				`and ${ms(r.verify_ms)} verifying` : ""],
		["Total", ms(r.total_ms), r.converged === false ?
			"did not converge" : ""],
		["Sent", bytes(r.bytes_sent), has(r.memory_bytes) ?
			`of ${bytes(r.memory_bytes)} of memory` : ""],
		["Rounds", count(r.rounds), has(r.pages_sent) ?
			`${count(r.pages_sent)} pages` : ""],
		["Tracking", ms(r.tracking_cpu_ms), "of CPU time"],
	])];
}

function devices(run) {
	const all = devicesOf(run);

	return all.length ? el("figure", {}, table("Devices",
		["Device", "Tracker", "Suspended", "Service gap", "Dirty pages",
			"State"], all.map((d) => [d.name, `${d.tracker || "–"} ` +
			pageSize(d.page_size || 0), d.suspend ?
			`${d.suspend.when || ""} (${d.suspend.how || ""})` : "–",
		ms(d.service_gap_ms), count(d.dirty_pages),
		bytes(d.state_bytes)])),
	el("details", all.length > 8 ? {} : { open: "" },
		el("summary", {}, "Why"),
		el("dl", { class: "why" }, ...all.flatMap((d) => [
			el("dt", {}, `${d.name}: ${d.covered_by || "–"}`),
			el("dd", {}, d.reason || "–")])))) : null;
}

function notes(run) {
	const list = run.notes.map((n) => el("li", { class: n.level === "warning" ?
		"warning" : "" }, n.level === "warning" ? "Warning: " : "", n.text));

	for (const b of (run.plan && run.plan.blockers) || [])
		list.push(el("li", { class: "warning" }, `Blocker: ${b}`));
	for (const l of ((run.result || {}).lost || []).slice(0, 50))
		list.push(el("li", { class: "warning" }, `Lost: ${bytes(l.len)} at ` +
			`${l.iova}, last written by ${l.writer || "unknown"}`));
	return list.length ? el("details", list.some((l) => l.className) ?
		{ open: "" } : {}, el("summary", {}, `Notes (${list.length})`),
	el("ul", { class: "notes" }, ...list)) : null;
}

function rounds(run) {
	const trackers = trackersOf(run);
	const one = (name, value) => run.rounds.map((r) => ({ x: r.n, series: name,
		value: value(r) }));
	const dirty = run.rounds.flatMap((r) => r.dirty.map((d) => ({ x: r.n,
		series: d.tracker, value: d.pages })));
	const columns = (title, description, rows, format, colours) => ({ title,
		make: () => columnPlot({ description, rows, format, xTitle: "round",
			colours: colours() }) });
	const rateOf = (r) => has(r.rate) ? r.rate :
		r.ms ? r.bytes / r.ms * 1000 : 0;

	return figure("Rounds", "Round 1 sends all of memory; each later one what " +
		"was dirtied meanwhile, and the last once everything is stopped.", [
		columns("Sent", "Bytes sent by round", one("sent", (r) => r.bytes),
			bytes, () => ({ sent: series(0) })),
		columns("Rate", "Rate of sending by round", one("rate", rateOf),
			rate, () => ({ rate: series(0) })),
		columns("Dirty pages, by tracker", "Pages that trackers reported " +
			"before each round", dirty, count, () => Object.fromEntries(
			trackers.map((t, i) => [t, series(i)]))),
	], table("Rounds", ["Round", "Begin", "Took", "Sent", "Rate", ...trackers],
		run.rounds.map((r) => [r.stopped ? `${r.n}, stopped` : r.n,
			ms(r.begin_ms), ms(r.ms), bytes(r.bytes), rate(rateOf(r)),
			...trackers.map((t) => count((r.dirty.find((d) =>
				d.tracker === t) || {}).pages))])),
	legend(trackers.map((t, i) => [t, `series-${i % 6 + 1}`])));
}

function heatTable(run) {
	const rows = run.rounds.filter((r) => r.map && r.n > 1).flatMap((r) =>
		r.map.map((a) => {
			const most = a.pages.reduce((m, p) => Math.max(m, p), 0);

			return [`${r.n - 1}`, a.iova, bytes(a.len),
				count(a.pages.reduce((s, p) => s + p, 0)), most ? address(
					a.iova, a.pages.indexOf(most) * a.bucket) : "–"];
		}));

	return table("Pages dirtied while each round was sent, by region",
		["Round", "Region at", "of", "Dirty pages", "Most of them at"], rows);
}

function heat(run) {
	const h = heatOf(run);
	const none = run.rounds.some((r) => r.map) ?
		"Nothing was sent twice: all of memory went in one round." :
		"The events do not say where in memory pages lie.";

	if (!h)
		return el("p", { class: "none" }, none);
	return figure("Pages dirtied, by time and address", "How much of each " +
		"piece of memory was dirtied while a round was sent, and so had to " +
		"be sent again. Holes between regions are left out.", [{
		make: () => heatPlot({ heat: h, description: "Heat map: part of " +
			"each piece of memory that was dirtied, by round and address" }),
	}], heatTable(run), el("p", { class: "ramp" }, "none", el("span", {}),
		"every page"));
}

function timeline(run) {
	const gaps = gapsOf(run), spans = spansOf(run);
	const names = [...new Set(spans.map((s) => s.device))];
	const sides = [...new Set(spans.map((s) => s.side))].sort().reverse();
	const row = (device, what) => ({ key: `${device}\n${what}`, device,
		what: what === "destination" ? "dest." : what });
	const rows = names.flatMap((n) => [
		...sides.filter((side) => spans.some((s) => s.device === n &&
			s.side === side)).map((side) => row(n, side)),
		...(gaps.some((g) => g.device === n) ? [row(n, "gap")] : [])]);
	const pause = (run.result && run.result.pause) || {};
	const end = endOf(run);
	const band = (begin, until, fill, what) => has(begin) ? [{ begin,
		end: has(until) ? until : end, fill: colour(fill), what }] : [];
	const make = (description, domain) => () => timePlot({ description, rows,
		domain, gaps: gaps.map((g) => ({ ...g, row: row(g.device, "gap").key })),
		spans: spans.map((s) => ({ ...s, row: row(s.device, s.side).key })),
		bands: [...band(pause.begin_ms, pause.end_ms, "band",
			"The machine stands still"),
		...band(pause.verify_begin_ms, pause.verify_end_ms, "band-verify",
			"Verifying: not counted as downtime")] });
	const plots = [{ title: "All of it", make: make("State of each device on " +
		"each side over the whole migration", [0, end]) }];
	const states = [...new Set(spans.map((s) => s.state))];

	if (!spans.length)
		return null;
	if (has(pause.begin_ms)) {
		const until = has(pause.end_ms) ? pause.end_ms : end;
		const around = Math.max(1, (until - pause.begin_ms) * 0.12);

		plots.push({ title: "Around the stop", make: make("State of each " +
			"device on each side while the machine stood still",
		[Math.max(0, pause.begin_ms - around), until + around]) });
	}
	return figure("Device states and service gaps", "A service gap is how " +
		"long a device's clients noticed it missing, beyond their usual " +
		"interval, verification not counted; its bar is all of that silence.",
	plots, table("State changes", ["Device", "Side", "State", "From", "To",
		"For"], [...spans].sort((a, b) => a.begin - b.begin).map((s) =>
		[s.device, s.side, s.state, ms(s.begin), ms(s.end),
			ms(s.end - s.begin)])),
	legend([...stateColours.filter((s) => states.includes(s)).map((s) =>
		[s, `state-${s.toLowerCase().replaceAll("_", "-")}`]),
	...(gaps.length ? [["service gap", "gap"]] : []),
	...(has(pause.begin_ms) ? [["standing still", "band"]] : []),
	...(has(pause.verify_begin_ms) ? [["verifying", "band-verify"]] : [])]));
}

function runSection(run, open) {
	const body = el("div", {});
	const policy = (run.result && run.result.policy) ||
		(run.plan && run.plan.policy);
	const s = el("details", { class: "run" }, el("summary", {},
		el("h2", {}, run.name, policy ? `, policy ${policy}` : "")), body);
	const fill = () => {
		if (body.childElementCount)
			return;
		body.append(...[...summary(run), devices(run), notes(run),
			...(run.rounds.length ? [rounds(run), heat(run)] : []),
			timeline(run)].filter((x) => x));
		drawWaiting();
	};

	s.addEventListener("toggle", fill);
	s.open = open;
	return s;
}

function comparisonSection(name, runs, note) {
	const figures = figuresOf(runs);
	const out = runs.filter((r) => r.refused || r.failed);
	const predicted = figures.some((f) => f.rows.some((r) => has(r.predicted)));

	return el("section", {}, el("h2", {}, name), figure("Policies side by side",
		note + (predicted ? " In parentheses: predicted." : ""),
		figures.map((f) => ({ title: f.title, make: () => pairPlot({
			description: `${f.title} by policy`, ...f }) })),
		table("Policies", ["Policy", "Verified", ...figures.map((f) =>
			f.title)], runs.map((r) => [r.policy, r.refused ? "refused" :
			r.failed ? "failed" : r.verified ? "yes" : "no",
		...figures.map((f) => {
			const row = f.rows[runs.filter((x) => !x.refused && !x.failed)
				.indexOf(r)];

			return row ? f.format(row.measured) + (has(row.predicted) ?
				` (${f.format(row.predicted)})` : "") : "–";
		})])),
		legend([["measured", "series-1"], ...(predicted ?
			[["predicted", "predicted"]] : [])])),
	out.length ? el("ul", { class: "notes" }, ...out.map((r) => el("li",
		{ class: "warning" }, `${r.policy}: ${r.refused ? "refused" :
			"failed"}: ${r.refused || r.failed}`))) : null);
}

function linesOf(curves) {
	return [...new Set(curves.flatMap((c) => c.points.map((p) => p.line)))]
		.sort((a, b) => a - b);
}

// The colours of a curve's lines, from the first to the last.
function rampLegend(lines, name) {
	const ramp = (i) => lines.length > 1 ? i / (lines.length - 1) : 0;

	return el("ul", { class: "legend" }, ...lines.map((v, i) => el("li", {},
		el("span", { style: "background:color-mix(in lab, var(--curve-last) " +
			`${ramp(i) * 100}%, var(--curve-first))` }), name(v))));
}

function costs(profile) {
	const curves = costsOf(profile), links = linesOf(curves);
	const missing = profile.costs.filter((c) => c.missing);
	const best = curves.flatMap((c) => links.flatMap((l) => bestOf(c, l)));

	return [curves.length ? figure("The best page size, by link", "What it " +
		"costs, with each page size, to read the tracker, walk its bitmap and " +
		"send what it reported while the machine stands still, as plan " +
		"predicts it for a machine where nobody else writes. Ringed: the size " +
		"that plan takes there. Hollow: rests on assumed figures.",
	curves.map((c) => ({ title: c.name, make: () => curvePlot({
		points: c.points, lines: links, format: ms,
		description: `Cost of the last round of ${c.name} by page size, on ` +
			`${links.map(linkRate).join(" and ")}` }) })),
	table("The last round", ["Tracker", "Link", "Page size", "Plan's",
		"It takes", "of it reading", "Sent in it", "Rounds", "Converges",
		"Total", "Origin"], curves.flatMap((c) => c.points.map((p) => [c.name,
		linkRate(p.line), pageSize(p.size), p.chosen ? "yes" : "",
		ms(p.median), ms(p.page.read_ms), bytes(p.page.last_bytes),
		count(p.page.rounds), p.page.converges ? "yes" : "no",
		ms(p.page.total_ms), p.origin]))),
	rampLegend(links, linkRate)) : null,
	best.length ? el("ul", { class: "notes" }, ...best.map((b) =>
		el("li", {}, b))) : null,
	...missing.map((c) => el("p", { class: "none" },
		`${c.tracker} is not predicted: ${c.missing}`))];
}

function profileSection(profile) {
	const curves = curvesOf(profile), intervals = linesOf(curves);
	const from = [profile.host, profile.cpu, profile.kernel].filter((t) => t);

	return el("section", {}, el("h2", {}, `${profile.name}: dirty bytes by ` +
		"page size"), curves.length ? figure("Granularity", "What a tracker " +
		"reports dirty when it is read again after so long: larger pages " +
		"report more than was written. Whiskers: smallest and largest; " +
		"hollow: assumed, not measured." + (from.length ?
		` Taken on ${from.join(", ")}.` : ""), curves.map((c) => ({
		title: c.name, make: () => curvePlot({ points: c.points,
			lines: intervals, format: bytes,
			description: `Dirty bytes of ${c.name} by page size` }) })),
	table("Dirty bytes", ["Tracker", "Page size", "After", "Median", "Least",
		"Most", "Origin"], curves.flatMap((c) => c.points.map((p) => [c.name,
		pageSize(p.size), ms(p.line), bytes(p.median), bytes(p.min),
		bytes(p.max), p.origin]))), rampLegend(intervals, ms)) :
		el("p", { class: "none" }, "It holds no dirty rates."),
	...costs(profile).filter((x) => x));
}

let drawing = Promise.resolve();

// One after the other; then the page says how it went.
function drawWaiting() {
	const state = document.documentElement.dataset;

	state.report = "drawing";
	drawing = drawing.then(async () => {
		for (const [place, make] of waiting.splice(0)) {
			try {
				await draw(place, make);
			} catch (e) {
				fail("plot", e);
				place.textContent = `This plot failed: ${e.message}`;
			}
		}
		state.plots = document.querySelectorAll(".plot[data-drawn] svg").length;
		state.report = failures ? "failed" : "drawn";
	});
}

function measuredRuns(model) {
	return model.runs.filter((r) => r.result).map((r) => ({
		...r.result, policy: `${r.result.policy || "?"}`,
		failed: r.result.ok ? null : r.result.error || "it failed",
	}));
}

function main() {
	const page = JSON.parse(document.getElementById("events").textContent);
	const model = modelOf(page), place = document.getElementById("sections");
	const names = page.inputs.map((i) => i.name).join(", ");

	document.title = `spoor: ${names}`;
	document.getElementById("from").textContent =
		`${names}; written by spoor ${page.spoor}`;
	if (page.full)
		place.append(el("p", { class: "none" }, "There were more events than " +
			"a page takes: the rest is left out."));
	for (const c of model.comparisons)
		place.append(comparisonSection(`${c.name}: comparison`, c.runs,
			"The same machine and workload under each policy."));
	if (model.runs.length > 1 && !model.comparisons.length) {
		const runs = measuredRuns(model);
		const same = new Set(runs.map((r) => r.policy)).size < runs.length;

		runs.forEach((r, i) => { // Names of rows must differ.
			if (same)
				r.policy = `${i + 1}: ${r.policy}`;
		});
		if (runs.length)
			place.append(comparisonSection("All runs", runs, "As measured."));
	}
	model.runs.forEach((r, i) => place.append(runSection(r, i < 2)));
	for (const p of model.profiles)
		place.append(profileSection(p));
	drawWaiting();
}

let resizing = 0;

addEventListener("error", (e) => fail("page", e.message));
addEventListener("unhandledrejection", (e) => fail("page", e.reason));
addEventListener("resize", () => {
	clearTimeout(resizing);
	resizing = setTimeout(fit, 100);
});
matchMedia("(prefers-color-scheme: dark)").addEventListener("change",
	() => { drawing = drawing.then(redraw); });
try {
	main();
} catch (e) {
	fail("page", e);
	document.documentElement.dataset.report = "failed";
}
