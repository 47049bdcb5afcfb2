import pg from "pg";
import { afterAll, beforeAll, expect, test } from "vitest";
import { databaseOf } from "../../bench/support/database-of.ts";
import { type Detailed, QUICK_HEALTH, until } from "../support/app-stand.ts";
import { crowd } from "../support/crowd.ts";
import { folderOf, startTestInstance, type TestInstance } from "../support/instance.ts";

let at: TestInstance;
let database: pg.Client;
let address: string;

beforeAll(async () => {
  at = await startTestInstance({ SIGNALBOX_ALLOW_NETWORKS: "127.0.0.0/8,::1/128" });
  const own = await databaseOf(at.dir);
  const admin = new pg.Client({ connectionString: own });
  await admin.connect();
  await admin.query("create database guestbook");
  await admin.end();
  address = own.replace(/[^/]+$/, "guestbook");
  database = new pg.Client({ connectionString: address });
  await database.connect();
  await database.query("create table guests (name text); insert into guests values ('Ada')");
});
afterAll(async () => {
  await database.end();
  await at.remove();
});

/** The guest book, asking its database for \`column\` on every visit. */
const guestbook = (column: string) => ({
  "package.json": JSON.stringify({
    name: "guestbook",
    type: "module",
    scripts: { start: "node server.js" },
    dependencies: { pg: "^8.23.1" },
  }),
  "signalbox.yaml": `${QUICK_HEALTH}
env: { DATABASE_URL: "${address}" }
migrations: { expand: db/expand, contract: db/contract, hold: { max: 20s, requests: 1000 } }
environments: { production: { rollback_window: 2s } }
`,
  "server.js": `import http from "node:http";
import pg from "pg";
const pool = new pg.Pool({ connectionString: process.env.DATABASE_URL, max: 4 });
http.createServer(async (q, s) => {
  if (q.url === "/healthz") return s.end("ok");
  try {
    const { rows } = await pool.query("select ${column} as who from guests");
    s.end("${column}: " + rows[0].who);
  } catch (error) {
    s.statusCode = 500;
    s.end(error.message);
  }
}).listen(process.env.PORT ?? 3000);`,
});

const EXPAND = "db/expand/0001_full_name.sql";
const CONTRACT = "db/contract/0001_drop_name.sql";

test("a column is renamed under load: visitors wait for expand, contract follows, and bars the way back", async () => {
  await using app = await folderOf(guestbook("name"));
  const ship = async () =>
    (await at.deploy(app.path, "--env", "production")) as unknown as Detailed & { output: string };
  const first = await ship();
  expect(first, first.output).toMatchObject({ state: "live" });
  const url = first.urls[0] ?? "";
  const visitors = crowd(url);
  await visitors.until((seen) => seen.length > 20);

  // A file that fails: nothing moves, nobody goes on waiting, nothing of it is in the database.
  const wrong = "alter table guests add column full_name text;\nupdate guests set full_nam = name;\n";
  await app.write({ ...guestbook("full_name"), [EXPAND]: wrong });
  const failed = await ship();
  expect(failed, failed.output).toMatchObject({ state: "failed" });
  expect(failed.reason).toMatch(/0001_full_name\.sql/);
  await visitors.until((seen) => seen.length > 20);
  expect((await at.get(url)).body).toBe("name: Ada");

  const right = "alter table guests add column full_name text;\nupdate guests set full_name = name;\n";
  await app.write({ [EXPAND]: `${right}select pg_sleep(2);\n` });
  const before = visitors.seen.length;
  const second = await ship();
  expect(second, second.output).toMatchObject({ state: "live" });
  await visitors.until((seen) => seen.some(({ body }) => body === "full_name: Ada"));
  expect(visitors.failures).toEqual([]);
  // They waited for the two seconds of the migration; nobody was turned away.
  expect(Math.max(...visitors.seen.slice(before).map(({ tookMs }) => tookMs))).toBeGreaterThan(1_500);

  // The next commit needs \`name\` no more, and says that it may go.
  const thirdFiles = guestbook("full_name");
  await app.write({
    "server.js": `${thirdFiles["server.js"]}\n`,
    [CONTRACT]: "alter table guests drop column name;\n",
  });
  const third = await ship();
  expect(third, third.output).toMatchObject({ state: "live" });
  const columns = async () => {
    const { rows } = await database.query(
      "select column_name from information_schema.columns where table_name = 'guests' order by 1",
    );
    return rows.map((row) => row.column_name);
  };
  expect(await columns()).toEqual(["full_name", "name"]);
  const contracted = await until(async () => {
    const { deployment } = (await at.api.status(third.id)) as unknown as { deployment: Detailed };
    return deployment.contractAt === null && deployment;
  });
  expect(contracted).toMatchObject({
    state: "live",
    schemaVersion: { expand: "0001_full_name.sql", contract: "0001_drop_name.sql" },
  });
  expect(await columns()).toEqual(["full_name"]);

  const refused = await at.cli(["rollback", "--env", "production", "--project", "guestbook"]);
  expect(refused.code).toBe(5);
  expect(refused.output).toMatch(/0001_drop_name\.sql/);
  await visitors.stop();
  expect(visitors.failures).toEqual([]);
});
