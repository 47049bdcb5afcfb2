import { once } from "node:events";
import { type AddressInfo, connect } from "node:net";
import tls from "node:tls";
import { MongoClient } from "mongodb";
import { describe, expect, onTestFinished, test } from "vitest";
import { makeCertificates } from "../../../test/support/certificates.ts";
import { type MongodbDouble, startMongodbDouble } from "../../../test/support/mongodb-double.ts";
import { freePort, openSockets, probing, rawServer } from "../../../test/support/probing.ts";
import { mongodb } from "./mongodb.ts";

const classOf = async (written: unknown, options = {}) => {
  const { status, failure } = await probing(mongodb, written, options);
  return failure ? `${status} ${failure.class}` : status;
};

async function start(told: MongodbDouble = {}) {
  const server = await startMongodbDouble({ users: { user: "secret" }, ...told });
  onTestFinished(() => server[Symbol.asyncDispose]());
  const at = { host: "127.0.0.1", port: server.port };
  return { server, at, asUser: { ...at, username: "user", password: "secret" } };
}

const SECONDARY = { isWritablePrimary: false, secondary: true, setName: "rs0", primary: "a:27017" };
const PRIMARY = { setName: "rs0", primary: "a:27017" };

describe("settings", () => {
  test("a password never shows in what is asked, and each member has the port that is meant", () => {
    const given = mongodb.settings.parse({ url: "mongodb://user:pa%20ss@a.internal,b.internal:27018/app" });
    expect(mongodb.subject(given)).toBe("mongodb://a.internal:27017,b.internal:27018");
    expect(mongodb.host(given)).toBe("a.internal");
  });

  test.each([
    {},
    { url: "http://a" },
    { url: "mongodb://a,/b" },
    { url: "mongodb://a", host: "b" },
    { host: "a", ports: 1 },
  ])("%j is refused", (written) => expect(mongodb.settings.safeParse(written).success).toBe(false));
});

test("the official driver itself logs in to the double, and pings", async () => {
  const { at } = await start();
  const client = new MongoClient(`mongodb://user:secret@127.0.0.1:${at.port}/admin`);
  onTestFinished(() => client.close());
  expect(await client.db("admin").command({ ping: 1 })).toMatchObject({ ok: 1 });
});

describe("without credentials", () => {
  test.each([
    ["standalone", {}, "up"],
    ["primary", PRIMARY, "up"],
    ["secondary", SECONDARY, "up"],
    ["arbiter", { isWritablePrimary: false, arbiterOnly: true, setName: "rs0" }, "up"],
    ["mongos", { msg: "isdbgrid" }, "up"],
    ["recovering", { isWritablePrimary: false, secondary: false, setName: "rs0" }, "down starting"],
    ["secondary", { ...SECONDARY, primary: undefined }, "degraded missing"],
  ])("a %s that says %j is %s", async (role, hello, expected) => {
    const { at, server } = await start({ hello });
    expect(await classOf(at)).toBe(expected);
    const outcome = await probing(mongodb, at);
    expect(outcome.observed).toMatchObject({ role, wireVersion: 25 });
    expect(outcome.phases?.firstByteMs).toBeGreaterThan(0);
    expect(server.commands).toEqual(["hello", "hello"]);
    await server.open(0);
  });

  test("another role than the one that it must have is down", async () => {
    const { at } = await start({ hello: SECONDARY });
    expect(await classOf({ ...at, role: "primary" })).toBe("down assertion");
    expect(await classOf({ ...at, role: "secondary" })).toBe("up");
  });
});

describe("with credentials", () => {
  const serverStatus = { version: "8.0.1", connections: { current: 10, available: 90 } };
  const member = (name: string, state: number, second: number, more = {}) => {
    const stateStr = { 1: "PRIMARY", 2: "SECONDARY", 3: "RECOVERING" }[state];
    return { name, state, stateStr, health: 1, optimeDate: new Date(second * 1_000), ...more };
  };
  const set = { myState: 1, members: [member("a", 1, 100, { self: true }), member("b", 2, 95)] };

  test("tells its version, connections and lag, and keeps no connection", async () => {
    const { asUser, server } = await start({ hello: PRIMARY, serverStatus, set });
    const { port } = asUser;
    const outcome = await probing(mongodb, {
      url: `mongodb://user:secret@127.0.0.1:${port}/?authSource=admin`,
    });
    expect(outcome).toMatchObject({ status: "up", observed: { role: "primary", version: "8.0.1" } });
    expect(outcome.observed).toMatchObject({ connections: 10, connectionsLeft: 90, replicationLagMs: 5_000 });
    expect(server.commands).toContain("ping");
    await server.open(0);
    await expect.poll(openSockets).toBe(0);
  });

  test("is reached by its name too", async () => {
    const { asUser } = await start({ hello: PRIMARY });
    expect(await classOf({ ...asUser, host: "db.localhost" })).toBe("up");
  });

  test("over TLS the driver verifies as we do", async () => {
    const { ca, good } = await makeCertificates();
    const { asUser } = await start({ hello: PRIMARY });
    const front = tls.createServer({ key: good.key, cert: good.cert }, (secure) => {
      const plain = connect(asUser.port, "127.0.0.1");
      secure.on("error", () => plain.destroy()).on("close", () => plain.destroy());
      plain.on("error", () => secure.destroy()).on("close", () => secure.destroy());
      secure.pipe(plain).pipe(secure);
    });
    await once(front.listen(0, "127.0.0.1"), "listening");
    onTestFinished(() => void front.close());
    const { port } = front.address() as AddressInfo;
    const url = `mongodb://user:secret@localhost:${port}/?tls=true`;
    expect(await classOf({ url, tls: { ca } })).toBe("up");
    expect(await classOf({ url })).toBe("down certificate");
    expect(await classOf({ url, tls: { insecure: true } })).toBe("up");
  });

  test("a user who may not ask for the status has seen enough", async () => {
    const { asUser } = await start({ hello: PRIMARY });
    const outcome = await probing(mongodb, asUser);
    expect(outcome).toMatchObject({ status: "up", observed: { statusAllowed: false } });
  });

  test("wrong password, unknown user", async () => {
    const { asUser, server } = await start();
    expect(await classOf({ ...asUser, password: "wrong" })).toBe("down auth");
    expect(await classOf({ ...asUser, username: "nobody" })).toBe("down auth");
    await server.open(0);
  });

  test("an arbiter holds no users, and is not asked to log one in", async () => {
    const hello = { isWritablePrimary: false, arbiterOnly: true, setName: "rs0" };
    const { asUser, server } = await start({ hello });
    expect(await classOf({ ...asUser, password: "wrong" })).toBe("up");
    expect(server.commands).toEqual(["hello"]);
  });

  test("is degraded with few connections left, a member that does not work, or a lag", async () => {
    const full = { ...serverStatus, connections: { current: 95, available: 5 } };
    const { asUser: crowded } = await start({ serverStatus: full });
    expect(await classOf(crowded)).toBe("degraded overloaded");
    const broken = { ...set, members: [...set.members, member("c", 3, 10)] };
    const { asUser: incomplete } = await start({ hello: PRIMARY, serverStatus, set: broken });
    expect(await classOf(incomplete)).toBe("degraded missing");
    const late = { myState: 2, members: [member("a", 1, 100), member("b", 2, 40, { self: true })] };
    const { asUser: slow } = await start({ hello: SECONDARY, serverStatus, set: late });
    expect(await classOf(slow)).toBe("degraded slow");
    expect(await classOf({ ...slow, lagWarnMs: 61_000 })).toBe("up");
  });

  test("hello is answered and the client that logs in is not: timeout, and no connection is left", async () => {
    const { asUser, server } = await start({ silent: true });
    expect(await classOf(asUser, { timeoutMs: 300 })).toBe("down timeout");
    await server.open(0);
  });
});

describe("several members", () => {
  test("the primary is found; one that is gone is degraded, all are down", async () => {
    const [first, second] = [await start({ hello: SECONDARY }), await start({ hello: PRIMARY })];
    const gone = await freePort();
    const url = (...ports: number[]) =>
      `mongodb://${ports.map((port) => `127.0.0.1:${port}`).join(",")}/?x=1`;
    const outcome = await probing(mongodb, { url: url(first.at.port, second.at.port) });
    expect(outcome).toMatchObject({ status: "up", observed: { role: "primary" } });
    expect(await classOf({ url: url(gone, first.at.port, second.at.port) })).toBe("degraded missing");
    expect(await classOf({ url: url(gone, await freePort()) })).toBe("down refused");
  });

  test("a member that is silent leaves time to ask the primary", async () => {
    await using silent = await rawServer(() => {});
    const { at } = await start({ hello: PRIMARY });
    const url = `mongodb://user:secret@127.0.0.1:${silent.port},127.0.0.1:${at.port}`;
    expect(await classOf({ url }, { timeoutMs: 2_000 })).toBe("degraded missing");
    await silent.open(0);
  });
});

test("nobody listens: refused; silent: timeout; private: blocked; another language: protocol", async () => {
  const at = { host: "127.0.0.1", port: await freePort() };
  expect(await classOf(at)).toBe("down refused");
  expect(await classOf(at, { network: { allowNetworks: [] } })).toBe("down blocked");
  await using silent = await rawServer(() => {});
  expect(await classOf({ ...at, port: silent.port }, { timeoutMs: 200 })).toBe("down timeout");
  await silent.open(0);
  await using other = await rawServer((socket) => void socket.write("220 mail.example.com ESMTP\r\n"));
  expect(await classOf({ ...at, port: other.port })).toBe("down protocol");
});
