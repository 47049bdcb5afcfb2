/** http-proxy-3 as its README sets it up, with keep-alive to the app and an access log: `PORT SOCKET LOG`. */
import { createWriteStream } from "node:fs";
import http from "node:http";
import { createProxyServer } from "http-proxy-3";

const [port = "", socketPath = "", logPath = ""] = process.argv.slice(2);
const log = createWriteStream(logPath);
let lines = "";
setInterval(() => {
  log.write(lines);
  lines = "";
}, 250);

const proxy = createProxyServer({
  target: { host: "localhost", socketPath } as unknown as { host: string; port: number },
  agent: new http.Agent({ keepAlive: true, maxSockets: 1_024 }),
  xfwd: true,
});
proxy.on("error", (_error, _req, res) => {
  if (res instanceof http.ServerResponse) res.writeHead(502).end();
});

http
  .createServer((req, res) => {
    const startedMs = performance.now();
    res.on("finish", () => {
      const ms = (performance.now() - startedMs).toFixed(2);
      const { method, url } = req;
      lines += `{"host":"${req.headers.host}","method":"${method}","path":"${url}","status":${res.statusCode},`;
      lines += `"ms":${ms}}\n`;
    });
    proxy.web(req, res);
  })
  .listen(Number(port), "127.0.0.1");
