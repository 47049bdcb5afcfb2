import { execFileSync } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync } from "node:fs";
import net, { type AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import tls from "node:tls";
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from "vitest";
import { connectGuarded, type GuardedConnect, guardedLookup } from "./guarded-connect.ts";

const LOOPBACK = { allowNetworks: ["127.0.0.0/8", "::1/128"] };

async function listen(server: net.Server, host = "127.0.0.1", port = 0): Promise<number> {
  server.listen(port, host);
  await once(server, "listening");
  onTestFinished(() => void server.close());
  return (server.address() as AddressInfo).port;
}

function ask(options: Partial<GuardedConnect> & { port: number }) {
  return connectGuarded({
    host: "127.0.0.1",
    policy: LOOPBACK,
    signal: AbortSignal.timeout(5_000),
    ...options,
  });
}

describe("the addresses of a host", () => {
  it.each([
    "127.0.0.1",
    "[::1]",
    "::ffff:127.0.0.1",
    "app.localhost",
    "APP.localhost.",
    "localhost",
    "0x7f.1",
    "2130706433",
    "127.1",
    "017700000001",
    "0",
    "::ffff:7f00:1",
    "64:ff9b::127.0.0.1",
    "fe80::1%lo",
    "::1%lo",
  ])("%s is this machine or nobody: never allowed by default", async (host) => {
    await expect(guardedLookup(host, { allowNetworks: [] })).rejects.toMatchObject({
      class: expect.stringMatching(/^(blocked|dns)$/),
    });
  });

  it("one private address among public ones refuses the host, in whatever order they come", async () => {
    for (const found of [
      ["1.1.1.1", "10.0.0.1"],
      ["fd00::1", "1.1.1.1"],
    ]) {
      const looked = guardedLookup("mixed.example", { allowNetworks: [] }, async () => found);
      await expect(looked).rejects.toMatchObject({ class: "blocked", code: "bad_request" });
    }
  });

  it("policy null refuses nothing, and names under .localhost are 127.0.0.1", async () => {
    expect(await guardedLookup("a.b.localhost", null)).toEqual(["127.0.0.1"]);
    expect(await guardedLookup("x", null, async () => ["10.0.0.1", "10.0.0.1"])).toEqual(["10.0.0.1"]);
  });

  it("a name without an address is `dns`, and a resolver that fails may be asked again", async () => {
    const failing = (code: string) => () => Promise.reject(Object.assign(new Error(code), { code }));
    await expect(guardedLookup("x", null, async () => [])).rejects.toMatchObject({ class: "dns" });
    await expect(guardedLookup("x", null, failing("ENOTFOUND"))).rejects.toMatchObject({
      class: "dns",
      code: "bad_request",
    });
    await expect(guardedLookup("x", null, failing("EAI_AGAIN"))).rejects.toMatchObject({
      class: "dns",
      code: "unavailable",
    });
  });
});

describe("a guarded connection", () => {
  it("is made to a checked address, and says how long each step took", async () => {
    const port = await listen(net.createServer((socket) => socket.end("hello")));
    const { socket, address, phases } = await ask({ host: "app.localhost", port });
    expect(String(await once(socket, "data"))).toBe("hello");
    expect(address).toBe("127.0.0.1");
    expect(phases.dnsMs + phases.connectMs).toBeGreaterThan(0);
    socket.destroy();
  });

  it("asks once for a name: what the resolver says later does not matter", async () => {
    const port = await listen(net.createServer((socket) => socket.end()));
    let asked = 0;
    const resolve = async () => [asked++ === 0 ? "127.0.0.1" : "192.0.2.1"];
    const { socket } = await ask({ host: "rebinding.example", port, resolve });
    socket.destroy();
    expect(asked).toBe(1);
  });

  it("goes on to the next address when one refuses, and says what the peer said when all fail", async () => {
    const port = await listen(net.createServer((socket) => socket.end()));
    const resolve = async () => ["::1", "127.0.0.2", "127.0.0.1"];
    const { socket, address } = await ask({ host: "many.example", port, resolve });
    socket.destroy();
    expect(address).toBe("127.0.0.1");
    const none = ask({ host: "none.example", port, resolve: async () => ["::1", "127.0.0.2"] });
    await expect(none).rejects.toMatchObject({ code: "ECONNREFUSED" });
  });

  it("goes on to the next address when one keeps silent, and leaves the silent one", async () => {
    const full = net.createServer().listen({ host: "127.0.0.2", port: 0, backlog: 1 });
    await once(full, "listening");
    onTestFinished(() => void full.close());
    const { port } = full.address() as AddressInfo;
    await listen(
      net.createServer((socket) => socket.end()),
      "127.0.0.3",
      port,
    );
    // A host that is not there: nothing answers in 192.0.2.0/24, whether there is a route to it or not.
    const policy = { allowNetworks: ["127.0.0.0/8", "192.0.2.0/24"] };
    const resolve = async () => ["192.0.2.1", "127.0.0.3"];
    const { socket, address } = await ask({ host: "silent.example", port, policy, resolve });
    socket.destroy();
    expect(address).toBe("127.0.0.3");
  });

  it("ends with the signal at every step, and leaves no socket", async () => {
    const arrived: net.Socket[] = [];
    const silent = net.createServer((socket) => arrived.push(socket.on("error", () => {}).resume()));
    const port = await listen(silent);
    const stop = new AbortController();
    const waiting = ask({ port, tls: {}, signal: stop.signal });
    await once(silent, "connection");
    stop.abort(new Error("enough"));
    await expect(waiting).rejects.toThrow("enough");
    if (!arrived[0]?.closed) await once(arrived[0] as net.Socket, "close");
    const looking = new AbortController();
    const resolve = () => {
      looking.abort(new Error("no more"));
      return Promise.withResolvers<string[]>().promise;
    };
    await expect(ask({ host: "slow", port, resolve, signal: looking.signal })).rejects.toThrow("no more");
    await expect(ask({ port, signal: AbortSignal.abort(new Error("late")) })).rejects.toThrow("late");
  });
});

describe("a guarded TLS connection", () => {
  let certificate: { key: string; cert: string };
  let server: tls.Server;
  const names: (string | false)[] = [];
  beforeAll(async () => {
    const folder = mkdtempSync(join(tmpdir(), "guarded-"));
    const [key, cert] = [join(folder, "key.pem"), join(folder, "cert.pem")];
    const subject = "subjectAltName=DNS:app.localhost,IP:127.0.0.1";
    const asked = `req -x509 -newkey rsa:2048 -nodes -days 1 -subj /CN=app.localhost -addext ${subject}`;
    execFileSync("openssl", [...asked.split(" "), "-keyout", key, "-out", cert], { stdio: "ignore" });
    certificate = { key: readFileSync(key, "utf8"), cert: readFileSync(cert, "utf8") };
    server = tls.createServer(certificate, (socket) => {
      names.push((socket as tls.TLSSocket & { servername: string | false }).servername);
      socket.end("secret");
    });
    server.on("tlsClientError", () => {});
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
  });
  afterAll(() => void server.close());
  const port = () => (server.address() as AddressInfo).port;

  it("asks for the host by name, and verifies the certificate for that name or address", async () => {
    for (const host of ["app.localhost", "app.localhost.", "127.0.0.1"]) {
      const { socket, phases } = await ask({ host, port: port(), tls: { ca: certificate.cert } });
      expect(String(await once(socket, "data"))).toBe("secret");
      expect(phases.tlsMs).toBeGreaterThan(0);
      socket.destroy();
    }
    expect(names.slice(0, 2)).toEqual(["app.localhost", "app.localhost"]);
  });

  it("fails with the code of what is wrong with the certificate", async () => {
    const other = ask({ host: "other.localhost", port: port(), tls: { ca: certificate.cert } });
    await expect(other).rejects.toMatchObject({ code: "ERR_TLS_CERT_ALTNAME_INVALID" });
    await expect(ask({ host: "app.localhost", port: port(), tls: {} })).rejects.toMatchObject({
      code: "DEPTH_ZERO_SELF_SIGNED_CERT",
    });
  });
});
