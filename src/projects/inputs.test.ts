import fc from "fast-check";
import { expect, it } from "vitest";
import { serviceInputs } from "./inputs.ts";
import { requireConfig } from "./parse-config.ts";
import { resolvePlan, type ServicePlan } from "./plan.ts";

const [base] = resolvePlan(requireConfig(null), "staging").services;
if (!base) throw new Error("there is always one service");
const service = (name: string, rootDirectory: string | undefined, env = {}): ServicePlan => ({
  ...base,
  name,
  env,
  settings: rootDirectory === undefined ? {} : { rootDirectory },
});
const file = (path: string, sha1 = "1", mode = 0o100644) => ({ path, sha1, size: 1, mode });

const api = service("api", "api");
const web = service("web", "./web/");
const services = [api, web];
const files = [
  file("api/a.js"),
  file("lib/x.js"),
  file("package-lock.json"),
  file("web/b.js"),
  file("website/c.js"),
];
const inputs = (of: ServicePlan, list = files, all = services) => serviceInputs(list, all, of);
const changed = (path: string, change = { sha1: "2" }) =>
  files.map((each) => (each.path === path ? { ...each, ...change } : each));

it.each([
  ["web/b.js", false, true],
  ["api/a.js", true, false],
  ["lib/x.js", true, true],
  ["package-lock.json", true, true],
  // Only what is inside of the folder, not what has a name that begins like it.
  ["website/c.js", true, true],
])("a change of %s changes the inputs of api: %s, of web: %s", (path, forApi, forWeb) => {
  expect([inputs(api, changed(path)) !== inputs(api), inputs(web, changed(path)) !== inputs(web)]).toEqual([
    forApi,
    forWeb,
  ]);
});

it("a file's mode, its name, a setting and a variable count; the order of the variables does not", () => {
  const modes = files.map((each) => (each.path === "api/a.js" ? { ...each, mode: 0o100755 } : each));
  const names = files.map((each) => (each.path === "api/a.js" ? { ...each, path: "api/b.js" } : each));
  expect(new Set([inputs(api), inputs(api, modes), inputs(api, names)]).size).toBe(3);
  expect(inputs(service("api", "api", { A: "1" }))).not.toBe(inputs(api));
  expect(inputs(service("api", "api", { A: "1", B: "2" }))).toBe(
    inputs(service("api", "api", { B: "2", A: "1" })),
  );
});

it("a service of the whole repository depends on all of it but the others' folders", () => {
  const root = service("root", undefined);
  const all = [api, root];
  expect(inputs(root, changed("web/b.js"), all)).not.toBe(inputs(root, files, all));
  expect(inputs(root, changed("api/a.js"), all)).toBe(inputs(root, files, all));
});

it("a folder inside another service's folder depends on its surroundings, and they on nothing of it", () => {
  const inner = service("inner", "web/admin");
  const all = [web, inner];
  const list = [file("web/b.js"), file("web/admin/c.js")];
  const outerChanged = [file("web/b.js", "2"), file("web/admin/c.js")];
  const innerChanged = [file("web/b.js"), file("web/admin/c.js", "2")];
  expect(inputs(inner, outerChanged, all)).not.toBe(inputs(inner, list, all));
  expect(inputs(web, innerChanged, all)).toBe(inputs(web, list, all));
});

it("different trees have different inputs, whatever their names are", () => {
  const path = fc
    .string({ minLength: 1, maxLength: 6 })
    .filter((text) => !text.includes("\0") && !text.includes("\n"));
  const tree = fc.uniqueArray(fc.tuple(path, fc.constantFrom("1", "2")), {
    selector: ([name]) => name,
    maxLength: 4,
  });
  const only = service("app", undefined);
  fc.assert(
    fc.property(tree, tree, (a, b) => {
      const digest = (list: [string, string][]) =>
        inputs(
          only,
          list.map(([name, sha1]) => file(name, sha1)),
          [only],
        );
      expect(digest(a) === digest(b)).toBe(JSON.stringify(a) === JSON.stringify(b));
    }),
  );
});
