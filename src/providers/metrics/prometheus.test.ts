import { once } from "node:events";
import { createServer, type RequestListener } from "node:http";
import type { AddressInfo } from "node:net";
import { expect, test } from "vitest";
import { allowedTo } from "../../../test/support/allowed-networks.ts";
import { createPrometheus } from "./prometheus.ts";

const networksOf = allowedTo({ prj_shop: ["127.0.0.0/8", "::1/128"], prj_blog: ["10.0.0.0/8"] });
const askAny = createPrometheus({ networksOf });
type Asked = Omit<Parameters<typeof askAny>[0], "projectId">;
const ask = (query: Asked, signal?: AbortSignal) => askAny({ projectId: "prj_shop", ...query }, signal);

async function serve(listener: RequestListener) {
  const server = createServer(listener).listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  return {
    endpoint: `http://127.0.0.1:${port}`,
    port,
    [Symbol.dispose]() {
      server.closeAllConnections();
      server.close();
    },
  };
}

async function answerTo(status: number, body: string) {
  using server = await serve((_request, response) => {
    response.writeHead(status, { "content-type": "application/json" }).end(body);
  });
  return await ask({ endpoint: server.endpoint, query: "q" });
}

const series = (metric: string, value: string) =>
  `{"metric":{${metric}"instance":"127.0.0.1:19464","job":"shop"},"value":[1795499916.841,"${value}"]}`;
const vector = (...result: string[]) =>
  `{"status":"success","data":{"resultType":"vector","result":[${result.join(",")}]}}`;

/** Bodies that Prometheus 2.42.0 (Debian 2.42.0+ds-5+deb12u1) gave to `/api/v1/query`; some labels are left out. */
const BY_PROMETHEUS = [
  ["shop_errors", 200, vector(series('"__name__":"shop_errors",', "0.25")), 0.25],
  [
    "scalar(…)",
    200,
    '{"status":"success","data":{"resultType":"scalar","result":[1795499916.902,"0.25"]}}',
    0.25,
  ],
  ["sum(…) / 4", 200, vector('{"metric":{},"value":[1795499917.475,"2.5"]}'), 2.5],
  ["shop_absent", 200, vector(), "it yields no series, where one number is needed"],
  [
    "shop_queue",
    200,
    vector(series('"__name__":"shop_queue",', "7"), series('"__name__":"shop_queue",', "3")),
    "it yields 2 series, where one number is needed: aggregate them, as with sum(…)",
  ],
  ["shop_nan", 200, vector(series('"__name__":"shop_nan",', "NaN")), "it yields NaN, not a finite number"],
  ["sum(shop_queue)/0", 200, vector(series("", "+Inf")), "it yields +Inf, not a finite number"],
  [
    "shop_queue[1m]",
    200,
    '{"status":"success","data":{"resultType":"matrix","result":[{"metric":{},"values":[[1795499916.601,"7"]]}]}}',
    "it yields a matrix, not a number",
  ],
  [
    '"text"',
    200,
    '{"status":"success","data":{"resultType":"string","result":[1795499917.362,"text"]}}',
    "it yields a string, not a number",
  ],
  [
    "sum(rate(",
    400,
    '{"status":"error","errorType":"bad_data",' +
      '"error":"invalid parameter \\"query\\": 1:10: parse error: unclosed left parenthesis"}',
    'it was refused (bad_data): invalid parameter "query": 1:10: parse error: unclosed left parenthesis',
  ],
  ["another path", 404, "404 page not found\n", "HTTP status 404"],
] as const;

test.each(BY_PROMETHEUS)("what Prometheus answers to %s", async (_query, status, body, expected) => {
  const result =
    typeof expected === "number" ? { value: expected, error: null } : { value: null, error: expected };
  expect(await answerTo(status, body)).toEqual(result);
});

test.each([
  ["a proxy's page", 502, "<h1>Bad Gateway</h1>", "HTTP status 502"],
  ["a page with 200", 200, "<h1>Grafana</h1>", "its answer is no JSON"],
  ["other JSON", 200, '{"ok":true}', "its answer is none of Prometheus' query API"],
  [
    "a value that is no text",
    200,
    vector('{"metric":{},"value":[1,2]}'),
    "its answer is none of Prometheus' query API",
  ],
  ["an empty value", 200, vector('{"metric":{},"value":[1,""]}'), "it yields , not a finite number"],
  [
    "a native histogram",
    200,
    vector('{"metric":{},"histogram":[1,{}]}'),
    "it yields a histogram, not a number",
  ],
  ["nothing", 200, "", "its answer is no JSON"],
  ["no success", 401, '{"status":"success"}', "HTTP status 401"],
])("a bad answer is no number: %s", async (_name, status, body, error) => {
  expect(await answerTo(status, body)).toEqual({ value: null, error });
});

test("the query, the path prefix and the credentials arrive, and no error shows the credentials", async () => {
  const seen: { url: string | undefined; authorization: string | undefined }[] = [];
  using server = await serve(({ url, headers }, response) => {
    seen.push({ url, authorization: headers.authorization });
    response.writeHead(500).end();
  });
  const endpoint = `http://team:s%3Acret@127.0.0.1:${server.port}/prom/?tenant=a`;
  const result = await ask({ endpoint, query: 'sum(up{job="a b"}) + 1' });
  const url = new URL(seen[0]?.url ?? "", "http://x");
  expect(url.pathname).toBe("/prom/api/v1/query");
  expect(Object.fromEntries(url.searchParams)).toEqual({
    tenant: "a",
    query: 'sum(up{job="a b"}) + 1',
    timeout: "5000ms",
  });
  expect(seen[0]?.authorization).toBe(`Basic ${Buffer.from("team:s:cret").toString("base64")}`);
  expect(JSON.stringify(result)).not.toContain("cret");
});

test("an address that is not public is never connected to, unless its network is allowed to that project", async () => {
  let connections = 0;
  using server = await serve((_request, response) => {
    connections++;
    response.end(vector(series("", "1")));
  });
  for (const host of ["127.0.0.1", "localhost", "[::ffff:127.0.0.1]", "2130706433"]) {
    const endpoint = `http://${host}:${server.port}`;
    const result = await askAny({ projectId: "prj_blog", endpoint, query: "1" });
    expect(result).toMatchObject({ value: null, error: expect.stringContaining("no public address") });
    expect(result.error).toContain("signalbox network allow");
  }
  expect(connections).toBe(0);
  expect(await ask({ endpoint: `http://localhost:${server.port}`, query: "1" })).toEqual({
    value: 1,
    error: null,
  });
});

test("a redirect is an answer, not a way around the guard", async () => {
  let followed = 0;
  using inner = await serve((_request, response) => {
    followed++;
    response.end(vector(series("", "1")));
  });
  using outer = await serve((_request, response) => {
    response.writeHead(302, { location: `${inner.endpoint}/api/v1/query?query=1` }).end();
  });
  expect(await ask({ endpoint: outer.endpoint, query: "1" })).toEqual({
    value: null,
    error: "HTTP status 302",
  });
  expect(followed).toBe(0);
});

test("an endless body is not read to its end", async () => {
  using server = await serve((_request, response) => {
    const more = () => {
      while (!response.destroyed && response.write(Buffer.alloc(65_536, 32)));
    };
    response.on("drain", more);
    more();
  });
  const result = await ask({ endpoint: server.endpoint, query: "1" });
  expect(result.error).toBe("its answer is longer than 1048576 bytes");
});

test("no answer says why: refused, too late, cut off, or no address at all", async () => {
  const impatient = createPrometheus({ networksOf, deadlineMs: 100 });
  const hasty = (query: Asked) => impatient({ projectId: "prj_shop", ...query });
  using silent = await serve(() => {});
  using stalled = await serve((_request, response) => void response.write('{"status":'));
  using cut = await serve((request) => request.socket.destroy());
  const gone = await serve(() => {});
  gone[Symbol.dispose]();
  expect((await hasty({ endpoint: silent.endpoint, query: "1" })).error).toBe("no answer within 0.1 s");
  expect((await hasty({ endpoint: stalled.endpoint, query: "1" })).error).toBe("no answer within 0.1 s");
  expect((await ask({ endpoint: cut.endpoint, query: "1" })).error).toMatch(/connection was (closed|reset)/);
  expect((await ask({ endpoint: gone.endpoint, query: "1" })).error).toBe("the connection was refused");
  for (const endpoint of ["file:///etc/passwd", "prometheus:9090", ""]) {
    expect((await ask({ endpoint, query: "1" })).error).toBe("its endpoint is no http or https address");
  }
});

test("a caller that gives up gets its own reason back", async () => {
  using server = await serve(() => {});
  const reason = new Error("the lease is lost");
  const controller = new AbortController();
  const asked = ask({ endpoint: server.endpoint, query: "1" }, controller.signal);
  controller.abort(reason);
  await expect(asked).rejects.toBe(reason);
});

test("what is allowed holds for the next question; that it cannot be read is no answer of theirs", async () => {
  using server = await serve((_request, response) => void response.end(vector(series("", "1"))));
  let allowed: readonly string[] | Error = [];
  const asking = createPrometheus({
    networksOf: async () => {
      if (allowed instanceof Error) throw allowed;
      return allowed;
    },
  });
  const asked = { projectId: "prj_shop", endpoint: server.endpoint, query: "1" };
  expect((await asking(asked)).value).toBeNull();
  allowed = ["127.0.0.1/32"];
  expect((await asking(asked)).value).toBe(1);
  allowed = [];
  expect((await asking(asked)).value).toBeNull();
  allowed = new Error("our database is away");
  await expect(asking(asked)).rejects.toThrow("our database is away");
});
