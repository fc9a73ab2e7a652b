// SPDX-License-Identifier: MIT
// From events to what is drawn.  The command has checked the events: what
// tools/spoor/report_check.c names is of the kind it says, or absent.
"use strict";

const PAGE = 4096;
const CELLS_MAX = 20000; // of a heat map: more are narrower than a pixel

function newRun(name) {
	return { name, rounds: [], states: [], notes: [] };
}

// A run ends with its result; a file may hold several.
function runsOf(input) {
	const runs = [];
	let run = null;

	for (const e of input.events) {
		if (e.event === "comparison")
			continue;
		if (!run) {
			run = newRun(input.name);
			runs.push(run);
		}
		if (e.event === "plan")
			run.plan = e;
		else if (e.event === "round")
			run.rounds.push(e);
		else if (e.event === "state")
			run.states.push(e);
		else if (e.event === "note")
			run.notes.push(e);
		else if (e.event === "result") {
			run.result = e;
			run = null;
		}
	}
	// A result of a comparison's own, or of nothing at all, is no run.
	return runs.filter((r) => r.plan || r.rounds.length || r.states.length ||
		(r.result && r.result.running));
}

// A space's tracker is another with others attached.
function namedOf(t) {
	return t.attached ? { ...t, name: `${t.name} with ${t.attached.join(", ")}` } :
		t;
}

function modelOf(page) {
	const model = { runs: [], comparisons: [], profiles: [] };

	for (const input of page.inputs) {
		if (input.profile) {
			model.profiles.push({ name: input.name, ...input.profile,
				trackers: input.profile.trackers.map(namedOf),
				costs: input.costs || [] });
			continue;
		}
		model.runs.push(...runsOf(input));
		for (const e of input.events)
			if (e.event === "comparison")
				model.comparisons.push({ name: input.name, ...e });
	}
	return model;
}

// What plan and result say of each device.
function devicesOf(run) {
	const all = new Map();

	for (const from of [run.plan, run.result])
		for (const d of (from && from.devices) || [])
			all.set(d.name, { ...all.get(d.name), ...d });
	return [...all.values()];
}

function trackersOf(run) {
	return [...new Set(run.rounds.flatMap((r) =>
		r.dirty.map((d) => d.tracker)))];
}

// How long the time lines are.
function endOf(run) {
	const r = run.result || {};
	const ends = [r.total_ms, r.pause && r.pause.end_ms,
		...run.states.map((s) => s.ms),
		...run.rounds.map((e) => (e.begin_ms || 0) + e.ms),
		...devicesOf(run).map((d) => d.service_gap_end_ms)];

	return ends.filter(has).reduce((a, b) => Math.max(a, b), 0);
}

// Each device's states on each side, from begin to end.
function spansOf(run) {
	const end = endOf(run), rows = new Map();

	for (const s of run.states) {
		const key = `${s.device}\n${s.side}`;

		if (!rows.has(key))
			rows.set(key, []);
		rows.get(key).push(s);
	}
	return [...rows.values()].flatMap((changes) => changes.map((s, i) => ({
		device: s.device, side: s.side, state: s.to, begin: s.ms,
		end: i + 1 < changes.length ? changes[i + 1].ms : end,
	})).concat({
		device: changes[0].device, side: changes[0].side,
		state: changes[0].from, begin: 0, end: changes[0].ms,
	})).filter((s) => s.end > s.begin);
}

function gapsOf(run) {
	return devicesOf(run).filter((d) => has(d.service_gap_ms) &&
		d.service_gap_ms > 0 && has(d.service_gap_begin_ms)).map((d) => ({
		device: d.name, gap: d.service_gap_ms,
		begin: d.service_gap_begin_ms,
		end: has(d.service_gap_end_ms) ? d.service_gap_end_ms :
			d.service_gap_begin_ms + d.service_gap_ms,
	}));
}

function address(iova, offset) {
	return `0x${(BigInt(iova) + BigInt(offset)).toString(16)}`;
}

// Memory without its holes: regions laid end to end.
function regionsOf(map) {
	let at = 0;

	return map.map((a) => {
		const r = { iova: a.iova, len: a.len, at };

		at += a.len;
		return r;
	});
}

// Several buckets as one where there are too many to be seen.
function merged(area, factor) {
	const pages = [];

	for (let i = 0; i < area.pages.length; i += factor)
		pages.push(area.pages.slice(i, i + factor)
			.reduce((a, b) => a + b, 0));
	return { ...area, bucket: area.bucket * factor, pages };
}

// The pages that a round after the first sends were dirtied during the one
// before it.
function heatOf(run) {
	const rounds = run.rounds.filter((r) => r.map && r.n > 1);
	const cells = [];
	let factor = 1, nr;

	if (!rounds.length)
		return null;
	nr = rounds.length * rounds[0].map.reduce((n, a) => n + a.pages.length, 0);
	while (nr / factor > CELLS_MAX)
		factor *= 2;
	for (const r of rounds) {
		const regions = regionsOf(r.map);

		r.map.map((a) => merged(a, factor)).forEach((a, i) =>
			a.pages.forEach((pages, k) => {
				const from = k * a.bucket;
				const to = Math.min(from + a.bucket, a.len);

				if (pages)
					cells.push({
						round: r.n - 1, pages,
						y: regions[i].at + from,
						y2: regions[i].at + to,
						part: pages * PAGE / (to - from),
						iova: address(a.iova, from),
						last: address(a.iova, to - 1),
					});
			}));
	}
	return {
		cells, rounds: rounds.map((r) => r.n - 1),
		regions: regionsOf(rounds[0].map),
		end: rounds[0].map.reduce((n, a) => n + a.len, 0),
	};
}

// Where the eye looks for addresses: region starts, and some between.
function heatTicks(heat) {
	const step = Math.max(PAGE, 2 ** Math.ceil(Math.log2(heat.end / 8)));

	return heat.regions.flatMap((r) => Array.from({
		length: Math.ceil(r.len / step) }, (_, i) => ({
		at: r.at + i * step, label: address(r.iova, i * step) })));
}

// Smallest and largest of a figure's repetitions, however they are written.
function spreadOf(run, key) {
	const s = run.spread && run.spread[key];

	if (Array.isArray(s) && s.every(has))
		return { min: s[0], max: s[s.length - 1] };
	return s && has(s.min) && has(s.max) ? { min: s.min, max: s.max } : {};
}

// What is compared: figures of runs, then of each of their devices.
function figuresOf(runs) {
	const done = runs.filter((r) => !r.refused && !r.failed);
	const names = [...new Set(done.flatMap((r) =>
		(r.devices || []).map((d) => d.name)))];
	const of = (title, format, get, predicted, key) => ({
		title, format, rows: done.map((r) => ({
			policy: r.policy, measured: get(r), predicted: predicted(r),
			...spreadOf(r, key),
		})),
	});
	const find = (r, name) => (r.devices || []).find((d) => d.name === name) ||
		{};

	return [
		of("Downtime", ms, (r) => r.downtime_ms,
			(r) => r.predicted_downtime_ms, "downtime_ms"),
		of("Total time", ms, (r) => r.total_ms,
			(r) => r.predicted_total_ms, "total_ms"),
		of("Sent", bytes, (r) => r.bytes_sent,
			(r) => r.predicted_bytes_sent, "bytes_sent"),
		of("CPU time of tracking", ms, (r) => r.tracking_cpu_ms,
			() => null, "tracking_cpu_ms"),
		...names.map((n) => of(`Service gap of ${n}`, ms,
			(r) => find(r, n).service_gap_ms,
			(r) => find(r, n).predicted_service_gap_ms, "")),
	].filter((f) => f.rows.some((r) => has(r.measured) || has(r.predicted)));
}

// An IOMMU's tracker has one page size: those of the same working set, each with
// a size of its own, are one curve.
function plotsOf(profile) {
	const groups = new Map();

	for (const t of profile.trackers) {
		const key = t.kind === "iommu" && t.set_bytes &&
			t.pages.length === 1 ? `\n${t.set_bytes}` : t.name;

		groups.set(key, [...(groups.get(key) || []), t]);
	}
	return [...groups.values()].flatMap((g) => new Set(g.flatMap((t) =>
		t.pages.map((p) => p.page_size))).size === g.length ? [g] :
		g.map((t) => [t])).map((g) => ({
		name: (g.length > 1 ? "IOMMU's entries" : g[0].name) +
			(g[0].set_bytes ? `, set of ${bytes(sizeOf(g[0].set_bytes))}` :
				""),
		trackers: g,
	}));
}

// Dirty bytes of each tracker by page size, a line for each interval.
function curvesOf(profile) {
	return plotsOf(profile).map(({ name, trackers }) => ({
		name,
		points: trackers.flatMap((t) => t.pages).flatMap((p) =>
			(p.dirty || []).filter((d) => d.bytes).map((d) => ({
				size: sizeOf(p.page_size), line: d.interval_ns / 1e6,
				what: `after ${ms(d.interval_ns / 1e6)}`,
				median: d.bytes.median, origin: d.bytes.origin || "",
				min: has(d.bytes.min) ? d.bytes.min : d.bytes.median,
				max: has(d.bytes.max) ? d.bytes.max : d.bytes.median,
			}))),
	})).filter((t) => t.points.length);
}

// What the last round costs with each page size, a line for each link.
function costsOf(profile) {
	const priced = profile.costs.filter((c) => c.pages);
	const of = (trackers) => priced.filter((c) => trackers.some((t) =>
		t.name === c.tracker));

	return plotsOf(profile).map(({ name, trackers }) => ({
		name,
		points: of(trackers).flatMap((c) => c.pages.map((p) => ({
			size: p.page_size, line: c.link_bytes_per_s,
			what: `on ${linkRate(c.link_bytes_per_s)}`,
			median: p.last_ms, min: p.last_ms, max: p.last_ms,
			origin: p.origin, page: p,
			// Of one size, there is no choice.
			chosen: c.pages.length > 1 && p.page_size === c.chosen,
		}))),
	})).filter((c) => c.points.length);
}

// Plan's size of each, or, where plan has no choice, what costs least.
function bestOf(curve, link) {
	const points = curve.points.filter((p) => p.line === link);
	const least = points.reduce((a, b) => b.median < a.median ? b : a,
		points[0]);
	const chosen = points.find((p) => p.chosen);

	if (points.length < 2)
		return [];
	return [`${curve.name} on ${linkRate(link)}: ` + (chosen ?
		pageSize(chosen.size) : `${pageSize(least.size)} costs least`)];
}
