import { appendFile, readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { writeOutput } from "../../../../test/support/build-output.ts";
import { temporaryDirectory } from "../../../../test/support/trees.ts";
import { readOutput } from "../read-output.ts";
import { layOut } from "./bundle.ts";

test("a function that writes into its files changes nothing of the artifact, which others have too", async () => {
  await using place = await temporaryDirectory();
  const tree = join(place.path, "tree");
  const shared = { filePathMap: { "lib/shared.js": "lib/shared.js" } };
  const own = { files: { "index.js": "own", "data.json": "{}" }, config: shared };
  await writeOutput(tree, { functions: { one: own, two: own }, tree: { "lib/shared.js": "shared" } });
  const { functions } = readOutput(tree);
  const layOutNow = (name: string, release: string) => {
    const spec = functions.get(`/${name}`)?.spec;
    if (spec === undefined || typeof spec === "string") throw new Error(spec);
    return layOut(spec, { tree, bundles: join(place.path, release) });
  };
  const first = await layOutNow("one", "first");
  await appendFile(join(first, "data.json"), "changed");
  await appendFile(join(first, "lib/shared.js"), "changed");
  expect(await readFile(join(tree, ".vercel/output/functions/one.func/data.json"), "utf8")).toBe("{}");
  const other = await layOutNow("one", "other");
  expect(await readFile(join(other, "lib/shared.js"), "utf8")).toBe("shared");

  const files = [await layOutNow("one", "third"), await layOutNow("two", "third")];
  const [one, two] = await Promise.all(files.map((root) => stat(join(root, "lib/shared.js"))));
  expect(one?.ino).toBe(two?.ino);
});
