/* Asks the search of the built site, with its own code and no browser:
   node search.mjs SITE "a question" … prints [[page, …], …] as JSON, best first. */

import fs from "node:fs";
import path from "node:path";
import vm from "node:vm";

const [site, ...questions] = process.argv.slice(2);
const nothing = { querySelectorAll: () => [], addEventListener: () => {}, dataset: {} };
const context = vm.createContext({
  console,
  addEventListener: () => {},
  document: { ...nothing, documentElement: nothing, getElementById: () => null },
  localStorage: { setItem: () => {}, getItem: () => null },
  DOCUMENTATION_OPTIONS: { LANGUAGE: "en", URL_ROOT: "./", FILE_SUFFIX: ".html" },
  SPHINX_HIGHLIGHT_ENABLED: false,
  _: (text) => text,
  _ready: () => {},
});
context.window = context;
const read = (name) => fs.readFileSync(path.join(site, name), "utf8");
for (const name of ["_static/language_data.js", "_static/searchtools.js"]) {
  vm.runInContext(read(name), context, { filename: name });
}
const Search = vm.runInContext("Search", context);
context.Search = Search;
vm.runInContext(read("searchindex.js"), context);

const answers = questions.map((question) => {
  // Results come worst first: the page takes them from the end.
  const found = Search._performSearch(...Search._parseQuery(question)).reverse();
  return [...new Set(found.map((result) => result[0]))];
});
console.log(JSON.stringify(answers));
