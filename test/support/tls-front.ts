import { execFileSync } from "node:child_process";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { TLSSocket } from "node:tls";

/** The code of a request for encryption, in the message that comes before all others (PostgreSQL manual, 54.7). */
const SSL_REQUEST = 80_877_103;

export type TlsFront = AsyncDisposable & {
  readonly port: number;
  /** The server names that clients asked for. */
  readonly names: string[];
};

/** A real Postgres as managed ones are: encrypted only, with a certificate for `localhost` that it signed itself. */
export async function startTlsFront(target: URL): Promise<TlsFront> {
  const dir = await mkdtemp(join(tmpdir(), "tls-front-"));
  const [key, cert] = [join(dir, "key.pem"), join(dir, "cert.pem")];
  const request =
    "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=localhost";
  const names = ["-addext", "subjectAltName=DNS:localhost", "-keyout", key, "-out", cert];
  execFileSync("openssl", [...request.split(" "), ...names], { stdio: "ignore" });
  const identity = { key: await readFile(key), cert: await readFile(cert) };
  const asked: string[] = [];
  const sockets = new Set<Socket>();
  const server = createServer((client) => {
    sockets.add(client);
    client.on("error", () => {});
    client.once("data", (first) => {
      if (first.length !== 8 || first.readInt32BE(4) !== SSL_REQUEST) return void client.destroy();
      client.write("S");
      const secure = new TLSSocket(client, { ...identity, isServer: true });
      const upstream = connect(Number(target.port), target.hostname);
      for (const socket of [secure, upstream]) {
        socket.on("error", () => {});
        socket.on("close", () => {
          upstream.destroy();
          client.destroy();
        });
      }
      secure.on("secure", () => asked.push(String(secure.servername)));
      secure.pipe(upstream).pipe(secure);
    });
  });
  await new Promise<void>((listening) => server.listen(0, listening));
  return {
    port: (server.address() as AddressInfo).port,
    names: asked,
    [Symbol.asyncDispose]: async () => {
      for (const socket of sockets) socket.destroy();
      await new Promise((closed) => server.close(closed));
      await rm(dir, { recursive: true });
    },
  };
}
