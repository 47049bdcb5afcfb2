import { writeFileSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { createConnection } from "mysql2/promise";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { makeCertificates } from "../../../test/support/certificates.ts";
import { type Probing, probing, rawServer } from "../../../test/support/probing.ts";
import { MARIADB_PASSWORD, MARIADB_USER, startMariadb } from "../../../test/support/services/mariadb.ts";
import { layLine } from "../../../test/support/services/partition.ts";
import { canStart, makeDir, type Service } from "../../../test/support/services/service.ts";
import { mysql } from "./mysql.ts";

const classOf = async (written: unknown, options: Probing = {}) => {
  const { status, failure } = await probing(mysql, written, options);
  return failure ? `${status} ${failure.class}` : status;
};

describe("settings", () => {
  test("a password never shows in what is asked", () => {
    const given = mysql.settings.parse({ url: "mysql://user:pa%20ss@db.internal/shop" });
    expect(mysql.subject(given)).toBe("mysql://db.internal:3306");
    expect(mysql.host(given)).toBe("db.internal");
  });

  test.each([
    {},
    { url: "postgres://db" },
    { url: "mysql://db", database: "shop" },
    { host: "db", expect: 1 },
    { host: "db", query: "delete from orders" },
  ])("%j is refused", (written) => expect(mysql.settings.safeParse(written).success).toBe(false));
});

describe("a real MariaDB", { skip: !canStart("mariadb") }, () => {
  let server: Service;
  let ca: string;
  let at: { host: string; port: number };
  let known: { host: string; port: number; username: string; password: string };
  const client = (port = at.port) =>
    createConnection({ host: "127.0.0.1", port, user: MARIADB_USER, password: MARIADB_PASSWORD });

  beforeAll(async () => {
    const made = await makeCertificates();
    ca = made.ca;
    const dir = makeDir("mariadb-tls");
    writeFileSync(join(dir, "key.pem"), made.good.key);
    writeFileSync(join(dir, "cert.pem"), made.good.cert);
    const tls = [`--ssl-key=${join(dir, "key.pem")}`, `--ssl-cert=${join(dir, "cert.pem")}`];
    server = await startMariadb({ args: [...tls, "--max-connections=10"] });
    at = { host: server.host, port: server.port };
    known = { ...at, username: MARIADB_USER, password: MARIADB_PASSWORD };
  });
  afterAll(() => server.stop());

  test("is up without credentials: it greets, and tells who may come in", async () => {
    const outcome = await probing(mysql, { ...at, tls: false });
    expect(outcome).toMatchObject({ status: "up", observed: { encrypted: false } });
    expect(outcome.observed?.version).toMatch(/mariadb/i);
    expect(outcome.phases?.firstByteMs).toBeGreaterThan(0);
    expect(await classOf({ ...at, role: "primary" })).toBe("down unsupported");
  });

  test("does not count us among the connections that broke off during the handshake", async () => {
    const admin = await client();
    onTestFinished(() => admin.end());
    const brokenOff = async () => {
      const [rows] = await admin.query("show global status like 'Aborted_connects_preauth'");
      return Number((rows as { Value: string }[])[0]?.Value);
    };
    const before = await brokenOff();
    for (const tls of [false, { insecure: true }]) expect(await classOf({ ...at, tls })).toBe("up");
    expect(await brokenOff()).toBe(before);
    const leaving = connect(at).once("data", () => leaving.destroy());
    await expect.poll(brokenOff).toBe(before + 1);
  });

  test("is asked through TLS: where it is offered, or verified", async () => {
    const named = { host: "localhost", port: at.port };
    const outcome = await probing(mysql, { ...named, tls: { ca } });
    expect(outcome).toMatchObject({ status: "up", observed: { encrypted: true } });
    expect(outcome.phases?.tlsMs).toBeGreaterThan(0);
    expect(await classOf({ ...named, tls: true })).toBe("down certificate");
    expect(await classOf({ ...known, tls: true })).toBe("down certificate");
    const inside = await probing(mysql, { ...known, host: "localhost", tls: { ca } });
    expect(inside).toMatchObject({ status: "up", observed: { encrypted: true, role: "primary" } });
    const url = `mysql://${MARIADB_USER}:${encodeURIComponent(MARIADB_PASSWORD)}@127.0.0.1:${at.port}/mysql`;
    expect(await probing(mysql, { url })).toMatchObject({ status: "up", observed: { encrypted: true } });
    const plain = await probing(mysql, { url: `${url}?ssl-mode=DISABLED` });
    expect(plain).toMatchObject({ status: "up", observed: { encrypted: false } });
  });

  test("tells its role and connections; a wrong user, password or database are told apart", async () => {
    const { status, observed } = await probing(mysql, { ...known, role: "primary" });
    expect(status).toBe("up");
    expect(observed).toMatchObject({ role: "primary", connectionsMax: 10, readOnly: false });
    for (const tls of [false, { insecure: true }]) {
      expect(await classOf({ ...known, tls, password: "wrong" })).toBe("down auth");
      expect(await classOf({ ...known, tls, username: "nobody" })).toBe("down auth");
    }
    expect(await classOf({ ...known, database: "nowhere" })).toBe("down status");
    expect(await classOf({ ...known, role: "replica" })).toBe("down assertion");
    expect(await classOf({ ...known, connectionsWarn: 0.1 })).toBe("degraded overloaded");
  });

  test("answers a query, and can only be read", async () => {
    const admin = await client();
    onTestFinished(() => admin.end());
    await admin.query("create database shop");
    await admin.query("create table shop.orders select 42 as id");
    const asked = { ...known, database: "shop" };
    expect(await classOf({ ...asked, query: "select id from orders", expect: 42 })).toBe("up");
    expect(await classOf({ ...asked, query: "select id from orders", expect: 41 })).toBe("down assertion");
    expect(await classOf({ ...asked, query: "select id from carts" })).toBe("down status");
    expect(await classOf({ ...asked, query: "select 1; drop table orders" })).toBe("down status");
    await admin.query("create sequence shop.s");
    expect(await classOf({ ...asked, query: "select next value for s" })).toBe("down unsupported");
    expect((await admin.query("select id from shop.orders"))[0]).toEqual([{ id: 42 }]);
  });

  test("is told to stop a query that nobody waits for, and no connection is left", async () => {
    const admin = await client();
    onTestFinished(() => admin.end());
    const others = async (state = "") => {
      const text = `select id from information_schema.processlist where id <> connection_id() ${state}`;
      return ((await admin.query(`${text} and user not in ('system user')`))[0] as unknown[]).length;
    };
    const asked = { ...known, query: "select sleep(60)" };
    const ending = new AbortController();
    const early = probing(mysql, asked, { timeoutMs: 60_000, signal: ending.signal });
    await expect.poll(() => others("and state = 'User sleep'")).toBe(1);
    ending.abort();
    expect((await early).failure?.class).toBe("timeout");
    await expect.poll(() => others()).toBe(0);
    // The server itself gives up first.
    const late = await probing(mysql, asked, { timeoutMs: 400 });
    expect(late.failure).toMatchObject({ class: "timeout" });
    for (let i = 0; i < 10; i++) expect(await classOf(known)).toBe("up");
    await expect.poll(() => others()).toBe(0);
  });

  test("a replica that does not replicate is degraded, and says so", async () => {
    const admin = await client();
    onTestFinished(() => admin.end());
    await admin.query("change master to master_host = '127.0.0.1', master_port = 1, master_user = 'nobody'");
    await admin.query("start slave");
    const outcome = await probing(mysql, { ...known, role: "replica" });
    expect(outcome).toMatchObject({ status: "degraded", failure: { class: "missing" } });
    expect(outcome.observed).toMatchObject({ role: "replica", sqlRunning: "Yes" });
    await admin.query("stop slave");
    await admin.query("reset slave all");
    expect(await classOf({ ...known, role: "primary" })).toBe("up");
  });

  test("is overloaded, not dead, when it has as many connections as it takes", async () => {
    const held = Array.from({ length: 11 }, () => connect(at));
    onTestFinished(() => held.forEach((socket) => void socket.destroy()));
    await expect.poll(() => classOf(at)).toBe("down overloaded");
    // An administrator may still have the one place that is kept for them, and sees how full it is.
    expect(await classOf(known)).toMatch(/^(down|degraded) overloaded$/);
  });

  test("frozen: timeout; killed: refused", async () => {
    await expect.poll(() => classOf(known)).toBe("up");
    server.freeze();
    expect(await classOf(at, { timeoutMs: 300 })).toBe("down timeout");
    server.thaw();
    await server.kill();
    expect(await classOf(at)).toBe("down refused");
  });
});

test.skipIf(!canStart("mariadb"))("behind a line that was cut: timeout, and up again", async () => {
  const line = await layLine();
  onTestFinished(line.close);
  const server = await startMariadb({ place: line.place });
  onTestFinished(server.stop);
  const at = await line.reach(server.port);
  const network = { allowNetworks: ["127.0.0.0/8", "10.0.0.0/8"] };
  expect(await classOf(at, { network })).toBe("up");
  line.cut();
  expect(await classOf(at, { network, timeoutMs: 300 })).toBe("down timeout");
  line.heal();
  expect(await classOf(at, { network })).toBe("up");
});

test("a blocked host is told apart from a wrong password and from a full server", async () => {
  const body = Buffer.from("\xff\x69\x04Host '10.0.0.1' is blocked", "latin1");
  await using server = await rawServer((socket) => {
    socket.write(Buffer.concat([Buffer.from([body.length, 0, 0, 0]), body]));
  });
  const { failure } = await probing(mysql, { host: "127.0.0.1", port: server.port });
  expect(failure).toMatchObject({ class: "auth", message: expect.stringContaining("blocked this host") });
});

test("what answers in another language is no MySQL", async () => {
  await using server = await rawServer((socket) => void socket.write("220 mail.example.com ESMTP\r\n"));
  const at = { host: "127.0.0.1", port: server.port };
  expect(await classOf(at)).toBe("down protocol");
  expect(await classOf(at, { network: { allowNetworks: [] } })).toBe("down blocked");
});

test("an early end by the signal leaves no connection", async () => {
  await using server = await rawServer((socket) => void socket.resume());
  const ending = new AbortController();
  const asked = probing(mysql, { host: "127.0.0.1", port: server.port }, { signal: ending.signal });
  await server.open(1);
  ending.abort();
  expect((await asked).failure?.class).toBe("timeout");
  await server.open(0);
});
