// SPDX-License-Identifier: MIT
// Figures for people.  An absent one is a dash.
"use strict";

const units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];

function has(n) {
	return typeof n === "number" && isFinite(n);
}

function bytes(n) {
	let i = 0;

	if (!has(n))
		return "–";
	for (; n >= 1024 && i < units.length - 1; i++)
		n /= 1024;
	return `${n < 10 && i && n % 1 ? n.toFixed(1) : Math.round(n)} ${units[i]}`;
}

function rate(n) {
	return has(n) ? `${bytes(n)}/s` : "–";
}

function count(n) {
	return has(n) ? Math.round(n).toLocaleString("en") : "–";
}

// Of a scale: no digits that say nothing.
function short(n) {
	return n >= 1e7 ? `${count(n / 1e6)} M` : count(n);
}

// In the middle, where names that belong together differ least.
function cut(name, most) {
	const half = Math.floor(most / 2);

	return name.length <= most ? name :
		`${name.slice(0, half)}…${name.slice(1 - half)}`;
}

function ms(n) {
	if (!has(n))
		return "–";
	if (n >= 1000)
		return `${Number((n / 1000).toFixed(n < 10000 ? 2 : 1))} s`;
	if (n < 1)
		return `${Number(n.toPrecision(2))} ms`;
	return `${n < 100 && n % 1 ? n.toFixed(1) : Math.round(n)} ms`;
}

function percent(n) {
	return has(n) ? `${n < 0.1 && n ? (n * 100).toFixed(1) :
		Math.round(n * 100)} %` : "–";
}

// Decimal bits, of bytes.
function linkRate(n) {
	const names = ["", "k", "M", "G", "T"];
	const i = Math.max(0, Math.min(4, Math.floor(Math.log10(n * 8) / 3)));

	return `${Number((n * 8 / 1000 ** i).toFixed(1))} ${names[i]}bit/s`;
}

// As a machine file has them: 4K, 2M.
function pageSize(n) {
	const i = Math.min(4, Math.floor(Math.log2(n) / 10));

	return n ? `${n / 1024 ** i}${["", "K", "M", "G", "T"][i]}` : "";
}

function sizeOf(text) {
	const m = /^(\d+)([KMGT]?)$/.exec(text);

	return m ? m[1] * 1024 ** " KMGT".indexOf(m[2] || " ") : Number(text);
}
