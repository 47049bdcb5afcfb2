import {
  ask,
  freePort,
  HERE,
  makeDir,
  type Place,
  requireHome,
  type Service,
  startService,
} from "./service.ts";

/** An empty Redis without persistence. `args` as on its command line: `["--requirepass", "secret"]`. */
export async function startRedis(
  options: { place?: Place; args?: readonly string[]; port?: number; dir?: string } = {},
): Promise<Service> {
  const home = requireHome("redis");
  const place = options.place ?? HERE;
  const port = options.port ?? (await freePort());
  const dir = options.dir ?? makeDir("redis");
  const settings = ["--port", String(port), "--bind", place.host, "--dir", dir, "--save", "", "--hz", "10"];
  const quiet = ["--appendonly", "no", "--databases", "4", "--protected-mode", "no"];
  return startService({
    name: "Redis",
    port,
    place,
    dir,
    command: [home.program, ...settings, ...quiet, ...(options.args ?? [])],
    env: home.env,
    // Any answer will do: also "NOAUTH" and "LOADING" are from a server that listens.
    ready: async () => (await ask(place.host, port, "PING\r\n")) !== null,
  });
}
