// Loaded into every Node process of a release (`NODE_OPTIONS=--import`). Sends the first TCP `listen` of an HTTP server
// to the release's unix socket, so that `app.listen(3000)` works unchanged and no port is taken. Plain JavaScript and
// no imports beyond Node's own: it runs inside other people's programs, on any Node from 20 on.
import cluster from "node:cluster";
import { readFileSync, unlinkSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import net from "node:net";
import { threadId } from "node:worker_threads";

const socketPath = process.env.SIGNALBOX_APP_SOCKET;
const ownerPath = `${socketPath}.owner`;
// A worker thread has its process's pid, and must not take the socket from the main thread.
const self = `${process.pid}:${threadId}`;
const shownPort = Number(process.env.PORT) || 3000;
const require = createRequire(import.meta.url);

if (socketPath) redirectFirstListen();

function redirectFirstListen() {
  const listen = net.Server.prototype.listen;
  let taken = false;
  net.Server.prototype.listen = function (...given) {
    const { options, callback } = readArguments(given);
    if (options === null || !isHttp(this)) return listen.apply(this, given);
    if (!taken && claimSocket()) {
      taken = true;
      this.once("close", () => {
        taken = false;
      });
      showAsTcp(this, options);
      return listen.call(this, { ...withoutAddress(options), path: socketPath }, ...callback);
    }
    // Another TCP port would collide with the same port of the release before or after this one.
    return listen.call(this, { ...withoutAddress(options), host: "127.0.0.1", port: 0 }, ...callback);
  };
}

/** `options` is null when no TCP port is asked for (a pipe, a handle, a descriptor). Knows every form of `listen`. */
function readArguments(given) {
  const args = [...given];
  const last = args.at(-1);
  const callback = typeof last === "function" ? [args.pop()] : [];
  const [first, ...rest] = args;
  if (first === undefined || first === null) return { options: { port: 0 }, callback };
  if (typeof first === "object") {
    const plain = first._handle === undefined && first.fd === undefined && !first.path;
    return { options: plain && "port" in first ? first : null, callback };
  }
  if (typeof first === "string" && !/^\s*\d+\s*$/.test(first)) return { options: null, callback };
  const host = rest.find((value) => typeof value === "string");
  return { options: { port: Number(first), ...(host === undefined ? {} : { host }) }, callback };
}

function withoutAddress(options) {
  const { port: _port, host: _host, ipv6Only: _ipv6Only, reusePort: _reusePort, ...rest } = options;
  return rest;
}

/** HTTP only, without TLS: that is what the gateway speaks. The module is loaded already when such a server exists. */
function isHttp(server) {
  return server instanceof require("node:http").Server;
}

/**
 * One process of the release owns the socket. A cluster's workers share their primary's; any other process gets it
 * only when the owner is gone, as after a restart by the app's own watcher.
 */
function claimSocket() {
  if (cluster.isWorker) return true;
  const owner = readOwner();
  if (owner !== null && owner !== self && isAlive(Number.parseInt(owner, 10))) return false;
  try {
    unlinkSync(socketPath);
  } catch {
    // The usual case: there is none.
  }
  try {
    writeFileSync(ownerPath, self, { flag: owner === null ? "wx" : "w" });
    return true;
  } catch {
    return false;
  }
}

function readOwner() {
  try {
    return readFileSync(ownerPath, "utf8") || null;
  } catch {
    return null;
  }
}

function isAlive(pid) {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error.code === "EPERM";
  }
}

/** Frameworks read the port from `address()` for their banner, and the peer's address for logs and rate limits. */
function showAsTcp(server, options) {
  const address = server.address;
  const port = Number(options.port) || shownPort;
  server.address = function () {
    const real = address.call(this);
    return typeof real === "string" ? { address: "127.0.0.1", family: "IPv4", port } : real;
  };
  server.prependListener("connection", (socket) => {
    const facts = { remoteAddress: "127.0.0.1", remoteFamily: "IPv4", remotePort: port };
    for (const [name, value] of Object.entries({ ...facts, localAddress: "127.0.0.1", localPort: port })) {
      if (socket[name] === undefined) Object.defineProperty(socket, name, { value, configurable: true });
    }
  });
}
