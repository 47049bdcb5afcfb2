import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import type { Deployment } from "../../bench/support/api.ts";
import {
  type CommandResult,
  freePort,
  type Instance,
  type Ports,
  signalbox,
  startInstance,
} from "../../bench/support/instance.ts";
import { getThroughGateway } from "../../bench/support/through-gateway.ts";

export type TestInstance = Instance & {
  /** Runs the CLI against this instance. */
  cli(args: readonly string[], cwd?: string): Promise<CommandResult>;
  /** `signalbox deploy <folder> … --json`: the deployment as it ended. */
  deploy(
    folder: string,
    ...args: string[]
  ): Promise<Deployment & { readonly code: number; readonly output: string }>;
  /** GET of a deployment's first public URL. */
  get(publicUrl: string, path?: string): ReturnType<typeof getThroughGateway>;
  /** A request to the control plane with the owner's token. */
  call(path: string, init?: RequestInit): Promise<Response>;
  remove(): Promise<void>;
};

/** A real Signalbox on free ports with everything of its own: data, CLI credentials, caches. */
export async function startTestInstance(
  extra: Record<string, string> = {},
  given: Ports | null = null,
): Promise<TestInstance> {
  const home = await mkdtemp(join(tmpdir(), "signalbox-e2e-"));
  // The CLI inherits this process's variables; nothing of the tests may land in the person's own home.
  Object.assign(process.env, {
    XDG_CONFIG_HOME: join(home, "config"),
    XDG_CACHE_HOME: join(home, "cache"),
    ...extra,
  });
  const ports = given ?? (await freePorts());
  const instance = await startInstance({ dir: join(home, "data"), ports });
  const cli = (args: readonly string[], cwd?: string) =>
    signalbox(args, { environment: instance.environment, ...(cwd === undefined ? {} : { cwd }) });
  return {
    ...instance,
    cli,
    deploy: async (folder, ...args) => {
      const result = await cli(["deploy", folder, "--json", ...args]);
      const line = result.stdout.trim().split("\n").at(-1) ?? "";
      if (!line.startsWith("{"))
        throw new Error(`deploy printed no JSON (exit ${result.code}):\n${result.output}`);
      const printed = JSON.parse(line);
      return {
        id: printed.deploymentId,
        ...(printed.deployment ?? printed),
        code: result.code,
        output: result.output,
      };
    },
    get: (publicUrl, path = "/") => getThroughGateway(publicUrl, path),
    call: (path, init = {}) =>
      fetch(`${instance.url}${path}`, {
        ...init,
        headers: {
          authorization: `Bearer ${instance.token}`,
          "content-type": "application/json",
          ...init.headers,
        },
      }),
    remove: async () => {
      await instance.stop();
      await rm(home, { recursive: true, force: true });
    },
  };
}

export async function freePorts(): Promise<Ports> {
  return { control: await freePort(), dock: await freePort(), gateway: await freePort() };
}

/** A folder with these files, removed with `await using`. */
export async function folderOf(
  files: Readonly<Record<string, string>>,
): Promise<AsyncDisposable & { readonly path: string; write(files: Record<string, string>): Promise<void> }> {
  const path = await mkdtemp(join(tmpdir(), "signalbox-app-"));
  const write = async (contents: Readonly<Record<string, string>>) => {
    for (const [name, text] of Object.entries(contents)) {
      await mkdir(dirname(join(path, name)), { recursive: true });
      await writeFile(join(path, name), text);
    }
  };
  await write(files);
  return { path, write, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) };
}

/** A server's package.json: `name` is the project's. */
export function packageJson(
  name: string,
  scripts: Record<string, string> = { start: "node server.js" },
): string {
  return JSON.stringify({ name, version: "1.0.0", type: "module", scripts });
}
