import { execFileSync } from "node:child_process";
import { chmodSync, chownSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import pg from "pg";
import { afterAll, beforeAll, describe, expect, inject, onTestFinished, test } from "vitest";
import { makeCertificates } from "../../../test/support/certificates.ts";
import { freshDatabase } from "../../../test/support/database.ts";
import { type Probing, probing, rawServer } from "../../../test/support/probing.ts";
import { layLine } from "../../../test/support/services/partition.ts";
import { ask, freePort, makeDir, startService } from "../../../test/support/services/service.ts";
import { systemClock } from "../../foundation/clock.ts";
import { type EmbeddedPostgres, startEmbeddedPostgres } from "../../foundation/embedded-postgres.ts";
import { silentLog } from "../../foundation/log.ts";
import { preparePostgresHome } from "../../foundation/postgres-home.ts";
import { postgres } from "./postgres.ts";

const classOf = async (written: unknown, options: Probing = {}) => {
  const { status, failure } = await probing(postgres, written, options);
  return failure ? `${status} ${failure.class}` : status;
};

async function client(databaseUrl: string): Promise<pg.Client> {
  const made = new pg.Client({ connectionString: databaseUrl });
  made.on("error", () => {});
  await made.connect();
  return made;
}

const placeOf = (databaseUrl: string) => {
  const url = new URL(databaseUrl);
  return { host: url.hostname, port: Number(url.port) };
};

describe("settings", () => {
  test("a password never shows in what is asked", () => {
    const given = postgres.settings.parse({ url: "postgresql://user:pa%20ss@db.internal/shop" });
    expect(postgres.subject(given)).toBe("postgres://db.internal:5432");
    expect(postgres.host(given)).toBe("db.internal");
  });

  test.each([
    { host: "db", port: 5432 },
    { host: "db", tls: { insecure: true } },
    { url: "postgres://db/shop" },
  ])("%j is accepted", (written) => expect(postgres.settings.safeParse(written).success).toBe(true));

  test.each([
    {},
    { url: "mysql://db" },
    { url: "postgres://db", database: "shop" },
    { host: "db", expect: 1 },
    { host: "db", ssl: true },
  ])("%j is refused", (written) => expect(postgres.settings.safeParse(written).success).toBe(false));
});

describe("a real Postgres", () => {
  const url = inject("databaseUrl");
  const at = placeOf(url);

  test("is up without credentials: it asks for a password", async () => {
    const outcome = await probing(postgres, at);
    expect(outcome).toMatchObject({ status: "up", observed: { authentication: "scram", encrypted: false } });
    expect(outcome.phases?.firstByteMs).toBeGreaterThan(0);
    expect(await classOf({ ...at, tls: { insecure: true } })).toBe("down tls");
    expect(await classOf({ ...at, role: "primary" })).toBe("down unsupported");
  });

  test("tells its role and connections to a user", async () => {
    const { status, observed } = await probing(postgres, { url, role: "primary" });
    expect(status).toBe("up");
    expect(observed).toMatchObject({ role: "primary", standbys: 0, connectionsMax: 197 });
    expect(observed?.connections).toBeGreaterThan(0);
    const wrong = new URL(url);
    wrong.password = "wrong";
    expect(await classOf({ url: wrong.href })).toBe("down auth");
    wrong.password = "";
    expect(await classOf({ url: wrong.href })).toBe("down auth");
    expect(await classOf({ url, role: "standby" })).toBe("down assertion");
    expect(await classOf({ url, standbys: 1 })).toBe("degraded missing");
    const other = new URL(url);
    other.pathname = "/nowhere";
    expect(await classOf({ url: other.href })).toBe("down status");
  });

  test("answers a query, and can only be read", async () => {
    await using database = await freshDatabase({ migrations: [] });
    await database.pool.query("create table orders as select 42 as id");
    const asked = { url: database.databaseUrl };
    expect(await classOf({ ...asked, query: "select id from orders", expect: 42 })).toBe("up");
    expect(await classOf({ ...asked, query: "select id from orders;" })).toBe("up");
    expect(await classOf({ ...asked, query: "select id from orders", expect: 41 })).toBe("down assertion");
    expect(await classOf({ ...asked, query: "select id from carts" })).toBe("down status");
    expect(await classOf({ ...asked, query: "select nextval('s')" })).toBe("down status");
    expect(await classOf({ ...asked, query: "select 1; commit; drop table orders" })).toBe("down status");
    await database.pool.query("create sequence s");
    expect(await classOf({ ...asked, query: "select nextval('s')" })).toBe("down unsupported");
    expect((await database.pool.query("select id from orders")).rows).toEqual([{ id: 42 }]);
  });

  test("is told to stop a query that nobody waits for, and no connection is left", async () => {
    await using database = await freshDatabase({ migrations: [] });
    const query = "select pg_sleep(60)";
    const sessions = async (what = "") => {
      const text = `select 1 from pg_stat_activity where application_name = 'signalbox-probe'
        and datname = current_database() ${what}`;
      return (await database.pool.query(text)).rowCount;
    };
    const asked = { url: database.databaseUrl, query };
    // The server itself gives up first.
    const late = await probing(postgres, asked, { timeoutMs: 400 });
    expect(late.failure).toMatchObject({ class: "timeout", message: expect.stringContaining("57014") });
    const ending = new AbortController();
    const early = probing(postgres, asked, { timeoutMs: 60_000, signal: ending.signal });
    await expect.poll(() => sessions("and wait_event = 'PgSleep'")).toBe(1);
    ending.abort();
    expect((await early).failure?.class).toBe("timeout");
    await expect.poll(() => sessions()).toBe(0);
    for (let i = 0; i < 10; i++) expect(await classOf({ url: database.databaseUrl })).toBe("up");
    await expect.poll(() => sessions()).toBe(0);
  });
});

describe("an own Postgres", () => {
  const root = makeDir("postgres-probe");
  const dir = join(root, "primary");
  const deps = { clock: systemClock, log: silentLog };
  const flags = {
    fsync: "off",
    max_connections: "8",
    max_wal_senders: "2",
    shared_buffers: "8MB",
  };
  const copy = (name: string) => {
    execFileSync("cp", ["-a", dir, join(root, name)]);
    return join(root, name);
  };
  let server: EmbeddedPostgres;
  let ca: string;
  let at: { host: string; port: number };
  let started: EmbeddedPostgres[] = [];

  beforeAll(async () => {
    chmodSync(root, 0o755);
    const first = await startEmbeddedPostgres(deps, { dir, flags });
    await first.stop();
    copy("standby");
    copy("partition");
    const made = await makeCertificates();
    ca = made.ca;
    const { account } = await preparePostgresHome(join(dir, "postgres"));
    for (const [name, text] of [
      ["server.key", made.good.key],
      ["server.pem", made.good.cert],
    ] as const) {
      writeFileSync(join(root, name), text, { mode: 0o600 });
      if (account !== null) chownSync(join(root, name), account.uid, account.gid);
    }
    const secure = {
      ssl: "on",
      ssl_key_file: join(root, "server.key"),
      ssl_cert_file: join(root, "server.pem"),
    };
    server = await startEmbeddedPostgres(deps, { dir, flags: { ...flags, ...secure } });
    started = [server];
    at = placeOf(server.databaseUrl);
  });

  afterAll(async () => {
    for (const one of started) await one.stop();
    rmSync(root, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 });
  });

  test("is asked through TLS: where it is offered, or verified", async () => {
    const { port } = at;
    const known = { host: "localhost", port, tls: { ca } };
    const outcome = await probing(postgres, known);
    expect(outcome).toMatchObject({ status: "up", observed: { encrypted: true } });
    expect(outcome.phases?.tlsMs).toBeGreaterThan(0);
    expect(await classOf({ ...known, tls: true })).toBe("down certificate");
    expect(await classOf({ ...known, tls: { insecure: true } })).toBe("up");
    const { observed } = await probing(postgres, { url: server.databaseUrl });
    expect(observed).toMatchObject({ encrypted: true, role: "primary" });
    const plain = await probing(postgres, { url: `${server.databaseUrl}?sslmode=disable` });
    expect(plain).toMatchObject({ status: "up", observed: { encrypted: false } });
    expect(await classOf({ url: `${server.databaseUrl}?sslmode=verify-full` })).toBe("down certificate");
  });

  test("has a standby, whose lag is told", async () => {
    const url = new URL(server.databaseUrl);
    const conninfo = `host=127.0.0.1 port=${url.port} user=${url.username} password=${url.password}`;
    const standbyDir = join(root, "standby");
    writeFileSync(join(standbyDir, "postgres", "standby.signal"), "");
    const standby = await startEmbeddedPostgres(deps, {
      dir: standbyDir,
      flags: { ...flags, primary_conninfo: conninfo },
    });
    started.push(standby);
    const asked = { url: standby.databaseUrl, role: "standby", lagDownMs: 60_000 };
    await expect.poll(() => classOf(asked)).toBe("up");
    expect((await probing(postgres, { url: server.databaseUrl, standbys: 1 })).status).toBe("up");
    const writer = await client(server.databaseUrl);
    onTestFinished(() => writer.end());
    await writer.query("create table written as select 1");
    await expect.poll(() => classOf({ ...asked, query: "select * from written" })).toBe("up");
    const admin = await client(standby.databaseUrl);
    await admin.query("select pg_wal_replay_pause()");
    await writer.query("create table more as select 1");
    await expect.poll(() => classOf({ ...asked, lagWarnMs: 1 })).toBe("degraded assertion");
    expect(await classOf({ ...asked, lagDownMs: 1 })).toBe("down assertion");
    await admin.query("select pg_wal_replay_resume()");
    await expect.poll(() => classOf({ ...asked, lagDownMs: 1 })).toBe("up");
    await admin.end();
    await standby.stop();
  });

  test("is overloaded, not dead, when all its connections are taken", async () => {
    const { databaseUrl: url } = server;
    expect(await classOf({ url, connectionsWarn: 0.1 })).toBe("degraded overloaded");
    const held = await Promise.all(Array.from({ length: 8 }, () => client(url)));
    expect(await classOf({ url })).toBe("down overloaded");
    expect(await classOf(at)).toBe("down overloaded");
    await Promise.all(held.map((one) => one.end()));
    await expect.poll(() => classOf(at)).toBe("up");
  });

  test("frozen: timeout; stopping: starting; killed: refused", async () => {
    process.kill(server.pid, "SIGSTOP");
    const { failure } = await probing(postgres, at, { timeoutMs: 300 });
    expect(failure).toMatchObject({ class: "timeout", message: expect.stringContaining("no answer to SSL") });
    process.kill(server.pid, "SIGCONT");
    await expect.poll(() => classOf(at)).toBe("up");
    const held = await client(server.databaseUrl);
    process.kill(server.pid, "SIGTERM");
    await expect.poll(() => classOf(at)).toBe("down starting");
    expect(await classOf({ url: server.databaseUrl })).toBe("down starting");
    process.kill(server.pid, "SIGKILL");
    await expect.poll(() => classOf(at)).toBe("down refused");
    await held.end().catch(() => {});
  });

  test("behind a line that was cut: timeout, and up again", async () => {
    const line = await layLine();
    onTestFinished(line.close);
    const { data, bin, account } = await preparePostgresHome(join(root, "partition", "postgres"));
    const port = await freePort();
    const become =
      account === null
        ? []
        : ["setpriv", `--reuid=${account.uid}`, `--regid=${account.gid}`, "--clear-groups", "--"];
    const { host } = line.place;
    const log = makeDir("postgres-line");
    const service = await startService({
      name: "Postgres",
      port,
      place: line.place,
      dir: log,
      command: [
        ...become,
        join(bin, "postgres"),
        ...["-D", data, "-p", String(port), "-c", `listen_addresses=${host}`],
        ...["-c", "unix_socket_directories=", "-c", "max_connections=8", "-c", "shared_buffers=8MB"],
      ],
      ready: async () => (await ask(host, port, Buffer.from([0, 0, 0, 8, 4, 210, 22, 47]))) !== null,
    });
    onTestFinished(service.stop);
    const reached = await line.reach(port);
    const network = { allowNetworks: ["127.0.0.0/8", "10.0.0.0/8"] };
    await expect.poll(() => classOf(reached, { network })).toBe("up");
    line.cut();
    expect(await classOf(reached, { network, timeoutMs: 300 })).toBe("down timeout");
    line.heal();
    expect(await classOf(reached, { network })).toBe("up");
  });
});

test("what answers in another language is no Postgres", async () => {
  await using server = await rawServer((socket) => void socket.write("220 mail.example.com ESMTP\r\n"));
  const at = { host: "127.0.0.1", port: server.port };
  expect(await classOf(at)).toBe("down protocol");
  expect(await classOf(at, { network: { allowNetworks: [] } })).toBe("down blocked");
});

test("an early end by the signal leaves no connection", async () => {
  await using server = await rawServer((socket) => void socket.resume());
  const ending = new AbortController();
  const asked = probing(postgres, { host: "127.0.0.1", port: server.port }, { signal: ending.signal });
  await server.open(1);
  ending.abort();
  expect((await asked).failure?.class).toBe("timeout");
  await server.open(0);
});
