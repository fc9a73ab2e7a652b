// SPDX-License-Identifier: MIT
// The library's modules, loaded when they are asked for.
"use strict";

const vegaModules = {};

function vegaRequire(name) {
	const module = vegaModules[name] || vegaModules[name.replace(/s$/, "")];

	if (!module.exports) {
		module.exports = {};
		module(module, module.exports, vegaRequire);
	}
	return module.exports;
}
