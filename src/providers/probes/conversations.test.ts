import { once } from "node:events";
import http from "node:http";
import https from "node:https";
import type { AddressInfo } from "node:net";
import * as official from "@grpc/grpc-js";
import { HealthImplementation } from "grpc-health-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type WebSocket, WebSocketServer } from "ws";
import { type Certificates, makeCertificates } from "../../../test/support/certificates.ts";
import { freePort, openSockets, probing, rawServer } from "../../../test/support/probing.ts";
import { decodeResponse, encodeRequest } from "./grpc/health-message.ts";
import { grpc } from "./grpc.ts";
import { clientFrame, FramesReader } from "./websocket/read-frames.ts";
import { websocket } from "./websocket.ts";

const failed = (name: string, message: RegExp) => ({
  status: "down",
  failure: { class: name, message: expect.stringMatching(message) },
});

let made: Certificates;
beforeAll(async () => {
  made = await makeCertificates();
});

describe("websocket, against the ws package", () => {
  async function serve(
    onSocket: (socket: WebSocket, headers: http.IncomingHttpHeaders) => void,
    secure = false,
  ) {
    const server = secure ? https.createServer(made.good) : http.createServer();
    const sockets = new WebSocketServer({ server, path: "/live" });
    sockets.on("connection", (socket, request) => onSocket(socket, request.headers));
    await once(server.listen(0, "127.0.0.1"), "listening");
    const { port } = server.address() as AddressInfo;
    const url = secure ? `wss://localhost:${port}/live` : `ws://127.0.0.1:${port}/live`;
    const close = async () => {
      for (const socket of sockets.clients) socket.terminate();
      server.closeAllConnections();
      await new Promise((closed) => server.close(closed));
    };
    return { url, port, [Symbol.asyncDispose]: close };
  }
  const ask = (url: string, more: object = {}, options = {}) => probing(websocket, { url, ...more }, options);

  test("an upgrade is enough where no message is expected; it is closed with a goodbye", async () => {
    const closed = Promise.withResolvers<number>();
    let asked: http.IncomingHttpHeaders = {};
    await using app = await serve((socket, headers) => {
      asked = headers;
      socket.on("close", closed.resolve);
    });
    const before = openSockets();
    expect(await ask(app.url, { headers: { authorization: "Bearer t" } })).toMatchObject({ status: "up" });
    expect(await closed.promise).toBe(1_000);
    expect(asked).toMatchObject({
      authorization: "Bearer t",
      "user-agent": "signalbox-probe",
      "x-signalbox-probe": "1",
    });
    expect(openSockets()).toBeLessThanOrEqual(before);
  });

  test("a message is answered, among others, pings and large ones", async () => {
    await using app = await serve((socket) => {
      socket.send("welcome");
      socket.ping();
      socket.send("x".repeat(70_000));
      socket.on("message", (message) => socket.send(`you said ${message}`));
    });
    const talk = await ask(app.url, { message: "ping ü", expect: "you said ping ü" });
    expect(talk).toMatchObject({ status: "up", observed: { messages: 3 } });
    expect(await ask(app.url, { expect: "welcome" })).toMatchObject({ status: "up" });
    const late = await ask(app.url, { message: "a", expect: "b" }, { timeoutMs: 100 });
    expect(late).toMatchObject(failed("timeout", /3 messages, and not the expected within \d+ ms/));
  });

  test("a silent one, one that closes, and no WebSocket at all are told apart", async () => {
    await using silent = await serve(() => {});
    const late = await ask(silent.url, { expect: "a" }, { timeoutMs: 80 });
    expect(late).toMatchObject(failed("timeout", /upgraded, and no message/));
    expect(await ask(silent.url.replace("live", "other"))).toMatchObject(failed("status", /status 400/));
    await using closing = await serve((socket) => socket.close(1_013, "full"));
    expect(await ask(closing.url, { expect: "a" })).toMatchObject(
      failed("reset", /the code 1013, without a message/),
    );
    expect(await ask(`ws://127.0.0.1:${await freePort()}/`)).toMatchObject(failed("refused", /nobody/));
  });

  test("through TLS, with the name verified", async () => {
    await using app = await serve(() => {}, true);
    expect(await ask(app.url, { ca: made.ca })).toMatchObject({ status: "up" });
    expect(await ask(app.url)).toMatchObject(failed("certificate", /issuer/));
  });

  test.each([
    [
      "HTTP/1.1 101 OK\r\nupgrade: websocket\r\nconnection: upgrade\r\nsec-websocket-accept: x\r\n\r\n",
      /read the key/,
    ],
    ["HTTP/1.1 101 OK\r\nupgrade: h2c\r\nconnection: upgrade\r\n\r\n", /no WebSocket/],
    ["SSH-2.0-x\r\n\r\n", /no HTTP/],
  ])("%j is no upgrade", async (text, message) => {
    await using server = await rawServer((socket) => socket.once("data", () => socket.write(text)));
    expect(await ask(`ws://127.0.0.1:${server.port}/`)).toMatchObject(failed("protocol", message));
  });

  test("frames are put together however they are cut, and refused where they break the protocol", () => {
    const mask = Buffer.alloc(4);
    const masked = clientFrame(1, Buffer.from("abc"), mask);
    const fragments = Buffer.from([0x01, 1, 97, 0x89, 0, 0x80, 2, 98, 99]);
    for (let cut = 0; cut <= fragments.length; cut++) {
      const reader = new FramesReader(100);
      const all = [...reader.read(fragments.subarray(0, cut)), ...reader.read(fragments.subarray(cut))];
      expect(all.map(({ kind, payload }) => `${kind} ${payload}`)).toEqual(["ping ", "message abc"]);
    }
    const refused = (bytes: Buffer) => () => new FramesReader(100).read(bytes);
    expect(refused(masked)).toThrow("masked");
    expect(refused(Buffer.from([0xc1, 0]))).toThrow("extension");
    expect(refused(Buffer.from([0x80, 0]))).toThrow("type 0");
    expect(refused(Buffer.from([0x82, 126, 1, 0]))).toThrow("over 100 bytes");
  });
});

describe("grpc, against the official server", () => {
  const server = new official.Server();
  const secure = new official.Server();
  const health = new HealthImplementation({ "": "SERVING", shop: "NOT_SERVING", new: "UNKNOWN" });
  let port = 0;
  let securePort = 0;
  const bind = (which: official.Server, credentials: official.ServerCredentials) =>
    new Promise<number>((resolve, reject) => {
      which.bindAsync("127.0.0.1:0", credentials, (error, at) => (error ? reject(error) : resolve(at)));
    });

  beforeAll(async () => {
    health.addToServer(server);
    health.addToServer(secure);
    port = await bind(server, official.ServerCredentials.createInsecure());
    const pair = { private_key: Buffer.from(made.good.key), cert_chain: Buffer.from(made.good.cert) };
    securePort = await bind(secure, official.ServerCredentials.createSsl(null, [pair]));
  });
  afterAll(() => {
    server.forceShutdown();
    secure.forceShutdown();
  });
  const ask = (more: object = {}, options = {}) =>
    probing(grpc, { host: "localhost", port, ...more }, options);

  test("a service says how it is", async () => {
    const before = openSockets();
    expect(await ask()).toMatchObject({ status: "up", observed: { serving: "SERVING" } });
    expect(await ask({ service: "shop" })).toMatchObject(
      failed("status", /\(shop\) says that it does not serve/),
    );
    expect(await ask({ service: "new" })).toMatchObject(failed("starting", /does not know yet/));
    expect(await ask({ service: "none" })).toMatchObject(failed("missing", /does not know the service/));
    health.setStatus("shop", "SERVING");
    expect(await ask({ service: "shop" })).toMatchObject({ status: "up" });
    expect(openSockets()).toBeLessThanOrEqual(before + 5);
  });

  test("headers are sent along whatever their case, and none is refused only when it is sent", async () => {
    const metadata = { "User-Agent": "me", "Content-Type": "text/plain", Authorization: "Bearer t" };
    expect(await ask({ metadata })).toMatchObject({ status: "up" });
    for (const name of ["HTTP2-Settings", "Host"])
      expect(grpc.settings.safeParse({ host: "a", port: 1, metadata: { [name]: "a" } }).success).toBe(false);
  });

  test("through TLS, with the name verified", async () => {
    const tls = { port: securePort, tls: true };
    expect(await ask({ ...tls, ca: made.ca })).toMatchObject({ status: "up" });
    expect(await ask(tls)).toMatchObject(failed("certificate", /issuer/));
  });

  test("a server without the health protocol, and one that is no gRPC server", async () => {
    const bare = new official.Server();
    const at = await bind(bare, official.ServerCredentials.createInsecure());
    expect(await ask({ port: at })).toMatchObject(failed("protocol", /UNIMPLEMENTED/));
    bare.forceShutdown();
    await using web = await rawServer((socket) => socket.write("HTTP/1.1 400 Bad Request\r\n\r\n"));
    expect(await ask({ port: web.port })).toMatchObject(failed("protocol", /./));
  });

  test("silence, a closed door, a reset", async () => {
    await using silent = await rawServer(() => {});
    expect(await ask({ port: silent.port }, { timeoutMs: 100 })).toMatchObject(
      failed("timeout", /no answer within/),
    );
    await silent.open(0);
    await using closing = await rawServer((socket) => socket.once("data", () => socket.end()));
    expect(await ask({ port: closing.port })).toMatchObject(failed("reset", /closed the connection/));
    await using resetting = await rawServer((socket) => socket.once("data", () => socket.resetAndDestroy()));
    expect(await ask({ port: resetting.port })).toMatchObject(failed("reset", /./));
    expect(await ask({ port: await freePort() })).toMatchObject(failed("refused", /nobody listens/));
  });

  test("messages are of one field, and unknown ones are skipped", () => {
    expect(encodeRequest("").toString("hex")).toBe("0000000000");
    expect(encodeRequest("ab").toString("hex")).toBe("00000000040a026162");
    const body = (...bytes: number[]) => Buffer.from([0, 0, 0, 0, bytes.length, ...bytes]);
    expect(decodeResponse(body())).toBe("UNKNOWN");
    expect(decodeResponse(body(0x08, 2))).toBe("NOT_SERVING");
    expect(decodeResponse(body(0x12, 2, 97, 98, 0x08, 1))).toBe("SERVING");
    expect(decodeResponse(body(0x12, 9, 97))).toBeNull();
    expect(decodeResponse(body(0x08, 9))).toBeNull();
    expect(decodeResponse(Buffer.from("nothing of it"))).toBeNull();
  });
});
