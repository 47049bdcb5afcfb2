import { execFileSync } from "node:child_process";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { parseConfig } from "../../src/projects/parse-config.ts";
import {
  askFirst,
  keepConnections,
  openTheShop,
  paintItBlue,
  renameTheRemark,
  wrapAsGifts,
} from "./commits.ts";
import { Repository } from "./repository.ts";

const directory = await mkdtemp(join(tmpdir(), "demo-repository-"));
afterAll(() => rm(directory, { recursive: true, force: true }));

const example = join(import.meta.dirname, "../../examples/storefront");
const repository = await Repository.create(example, join(directory, "storefront"));

/** The order book and the shelf as the committed tree has them. */
async function orderBook() {
  const load = (file: string) => import(`${join(repository.directory, file)}?${performance.now()}`);
  const shelf = (await load("server/shelf.js")).createShelf();
  return (await load("server/orders.js")).createOrders(shelf);
}

const order = { items: [{ id: "tag", quantity: 1 }] };

test("three commits make three versions in a clean tree", async () => {
  const first = await openTheShop(repository);
  expect((await orderBook()).health().ok).toBe(true);
  const second = await paintItBlue(repository);
  const third = await keepConnections(repository);
  expect([first.version, second.version, third.version]).toEqual(["1.0.0", "2.0.0", "3.0.0"]);
  const git = (...args: string[]) =>
    execFileSync("git", args, { cwd: repository.directory, encoding: "utf8" });
  expect(git("log", "--format=%s").trim().split("\n")).toEqual([
    third.message,
    second.message,
    first.message,
  ]);
  expect(git("status", "--porcelain")).toBe("");
  expect(git("ls-files")).not.toMatch(/node_modules|dist\//);
});

test("the third commit is well until it is used, and goes on answering when it is not", async () => {
  const orders = await orderBook();
  expect(orders.health().ok).toBe(true);
  const statuses: string[] = [];
  for (let index = 0; index < 20; index++) statuses.push((await orders.place(order)).status);
  expect(orders.health().ok).toBe(false);
  expect(new Set(statuses)).toEqual(new Set(["placed", "queued"]));
});

test("the branch, the fourth and the fifth commit are well again, and their configuration is valid", async () => {
  const branch = await repository.onBranch("gift-wrap", () => wrapAsGifts(repository));
  const fourth = await askFirst(repository);
  const fifth = await renameTheRemark(repository, "postgres://shop:secret@127.0.0.1/shop_ledger");
  expect([branch.version, fourth.version, fifth.version]).toEqual(["3.1.0", "4.0.0", "5.0.0"]);
  expect((await orderBook()).health().ok).toBe(true);
  const parsed = parseConfig(await readFile(join(repository.directory, "signalbox.yaml"), "utf8"));
  expect(parsed).toMatchObject({
    ok: true,
    config: {
      migrations: { expand: "db/expand", contract: "db/contract" },
      environments: {
        production: { approvals: { required: 1 }, strategy: { blue_green: { watch: 3_000 } } },
      },
    },
  });
});
