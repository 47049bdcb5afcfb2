"use strict";
// A file of its own: an old Node cannot parse `import()`, and must not meet it before its version was checked.
module.exports = function load(url) {
  return import(url);
};
