import { homedir } from "node:os";
import { join, resolve } from "node:path";
import { z } from "zod";
import { AppError, messageOf } from "./foundation/errors.ts";
import { parseNetworks } from "./foundation/safe-fetch.ts";

const port = z.coerce.number().int().min(0).max(65_535);

/** Every environment variable that Signalbox reads, with its default. */
const Environment = z.object({
  /** Where all state lives. */
  SIGNALBOX_DIR: z.string().default(".signalbox"),
  /** Address that the control plane, the dock and the gateway listen on. `0.0.0.0` to be reached from outside. */
  SIGNALBOX_HOST: z.string().default("127.0.0.1"),
  SIGNALBOX_PORT: port.default(4700),
  SIGNALBOX_DOCK_PORT: port.default(4701),
  SIGNALBOX_GATEWAY_PORT: port.default(8080),
  /** Gateway workers. 0: one for each CPU, at least 2 and at most 4. */
  SIGNALBOX_GATEWAY_WORKERS: z.coerce.number().int().min(0).max(64).default(0),
  /** Use this Postgres (≥ 15) instead of the embedded one. */
  DATABASE_URL: z.url({ protocol: /^postgres(ql)?$/ }).optional(),
  /** For the CLI: the control plane's address and a token. */
  SIGNALBOX_URL: z.url({ protocol: /^https?$/ }).optional(),
  SIGNALBOX_TOKEN: z.string().min(1).optional(),
  /** The `vercel` target: by default the dock. With a Vercel token, `https://api.vercel.com`. */
  SIGNALBOX_VERCEL_API: z.url({ protocol: /^https?$/ }).optional(),
  SIGNALBOX_VERCEL_TOKEN: z.string().min(1).optional(),
  SIGNALBOX_VERCEL_TEAM: z.string().min(1).optional(),
  /** How hosts at a Vercel-compatible platform other than Vercel are opened, as `http://localhost:8081`. */
  SIGNALBOX_VERCEL_PUBLIC: z.url({ protocol: /^https?$/, hostname: /^localhost$/ }).optional(),
  /** For failover: Cloudflare's API and a token with DNS Write; the key that a switch's webhook is signed with. */
  SIGNALBOX_CLOUDFLARE_API: z.url({ protocol: /^https?$/ }).default("https://api.cloudflare.com/client/v4"),
  SIGNALBOX_CLOUDFLARE_TOKEN: z.string().min(1).optional(),
  SIGNALBOX_FAILOVER_WEBHOOK_SECRET: z.string().min(16).optional(),
  /** Secret by which probes pass Vercel's deployment protection. Left out: the project's own, read from the API. */
  SIGNALBOX_VERCEL_BYPASS: z.string().min(1).optional(),
  /** For previews of pull requests: GitHub's API (or GitHub Enterprise's), and a token that may read and comment. */
  SIGNALBOX_GITHUB_API: z.url({ protocol: /^https?$/ }).default("https://api.github.com"),
  SIGNALBOX_GITHUB_TOKEN: z.string().min(1).optional(),
  /** Where people and webhooks reach the control plane from outside: `https://signalbox.example.com`. */
  SIGNALBOX_PUBLIC_URL: z.url({ protocol: /^https?$/ }).optional(),
  /** Networks (CIDR, comma-separated) beside the public ones that addresses which users supply may lead to. */
  SIGNALBOX_ALLOW_NETWORKS: z.string().default("").superRefine(checkNetworks),
  /** `1`: `deploy file:///…` may read repositories on the control plane's own disk. */
  SIGNALBOX_ALLOW_LOCAL_REPOSITORIES: z.enum(["0", "1"]).default("0"),
  /** `1`: a commit may ask for checks that run on the prober's own machine: `docker`, `command`. */
  SIGNALBOX_ALLOW_LOCAL_CHECKS: z.enum(["0", "1"]).default("0"),
  /** Where this machine's prober asks from. Checks name the locations that they are asked from. */
  SIGNALBOX_LOCATION: z
    .string()
    .regex(/^[a-z0-9][a-z0-9-]{0,62}$/, "lower-case letters, digits and dashes, such as eu-west-1")
    .default("local"),
  /** What tells the prober whether its own network works: at least two addresses (URL or host:port), with commas. */
  SIGNALBOX_CANARIES: z.string().default(""),
  /** Makes `start prober` an agent, which pushes what it finds to SIGNALBOX_URL and needs no database. */
  SIGNALBOX_PROBER_TOKEN: z.string().min(1).optional(),
  SIGNALBOX_LOG_LEVEL: z.enum(["debug", "info", "warn", "error"]).default("info"),
  /** Limits of one build. */
  SIGNALBOX_BUILD_TIMEOUT_S: z.coerce.number().int().positive().default(2_700),
  SIGNALBOX_BUILD_MEMORY_MB: z.coerce.number().int().positive().default(4_096),
  SIGNALBOX_BUILD_DISK_MB: z.coerce.number().int().positive().default(10_240),
  /** The official `vercel` program, for `vercel build`. Default: the one on PATH. `none`: the dock builds itself. */
  SIGNALBOX_VERCEL_CLI: z.string().optional(),
  SIGNALBOX_BUILD_CONCURRENCY: z.coerce.number().int().min(1).max(64).default(2),
  /** Asked to end, the control plane is unready for so long before it stops answering: a load balancer's period. */
  SIGNALBOX_DRAIN_MS: z.coerce.number().int().min(0).max(600_000).default(0),
});

export type Config = {
  /** Absolute. */
  readonly dir: string;
  readonly host: string;
  readonly port: number;
  readonly dockPort: number;
  readonly gatewayPort: number;
  readonly gatewayWorkers: number;
  readonly databaseUrl: string | null;
  readonly cli: {
    readonly url: string | null;
    readonly token: string | null;
    readonly credentialsFile: string;
    /** Digests of files, kept between runs. */
    readonly cacheDir: string;
  };
  readonly vercel: {
    readonly api: string | null;
    readonly token: string | null;
    readonly team: string | null;
    readonly publicUrl: string | null;
    readonly bypass: string | null;
  };
  readonly failover: {
    readonly cloudflare: { readonly api: string; readonly token: string | null };
    readonly webhookSecret: string | null;
  };
  /** Without a slash at its end. */
  readonly publicUrl: string | null;
  readonly github: { readonly api: string; readonly token: string | null };
  readonly allowNetworks: readonly string[];
  readonly allowLocalRepositories: boolean;
  readonly allowLocalChecks: boolean;
  readonly prober: {
    readonly location: string;
    readonly canaries: readonly string[];
    readonly token: string | null;
  };
  readonly logLevel: "debug" | "info" | "warn" | "error";
  readonly build: {
    readonly timeoutMs: number;
    readonly memoryBytes: number;
    readonly diskBytes: number;
    readonly concurrency: number;
  };
  readonly drainMs: number;
  /** Absolute path of the `vercel` program that builds; null: look on the path; `none`: do not use it. */
  readonly vercelCli: string | null;
  /**
   * Proxy and certificate settings of this machine, passed on to builds and git, which need them to reach a registry.
   */
  readonly networkEnv: Readonly<Record<string, string>>;
  readonly path: string;
};

/** Reads the environment. @throws AppError naming every variable that is wrong, at once. */
export function readConfig(env: NodeJS.ProcessEnv, cwd: string): Config {
  const parsed = Environment.safeParse(dropEmpty(env));
  if (!parsed.success) {
    const problems = parsed.error.issues.map((issue) => `${issue.path.join(".")}: ${issue.message}`);
    throw new AppError("bad_request", `The environment is not valid.\n  ${problems.join("\n  ")}`, {
      hint: "Correct or unset these variables and start again.",
      details: problems,
    });
  }
  const e = parsed.data;
  return {
    dir: resolve(cwd, e.SIGNALBOX_DIR),
    host: e.SIGNALBOX_HOST,
    port: e.SIGNALBOX_PORT,
    dockPort: e.SIGNALBOX_DOCK_PORT,
    gatewayPort: e.SIGNALBOX_GATEWAY_PORT,
    gatewayWorkers: e.SIGNALBOX_GATEWAY_WORKERS,
    databaseUrl: e.DATABASE_URL ?? null,
    cli: {
      url: e.SIGNALBOX_URL ?? null,
      token: e.SIGNALBOX_TOKEN ?? null,
      cacheDir: join(env.XDG_CACHE_HOME ?? join(homedir(), ".cache"), "signalbox"),
      credentialsFile: join(
        env.XDG_CONFIG_HOME ?? join(homedir(), ".config"),
        "signalbox",
        "credentials.json",
      ),
    },
    vercel: {
      api: e.SIGNALBOX_VERCEL_API ?? null,
      token: e.SIGNALBOX_VERCEL_TOKEN ?? null,
      team: e.SIGNALBOX_VERCEL_TEAM ?? null,
      publicUrl: e.SIGNALBOX_VERCEL_PUBLIC ?? null,
      bypass: e.SIGNALBOX_VERCEL_BYPASS ?? null,
    },
    failover: {
      cloudflare: {
        api: e.SIGNALBOX_CLOUDFLARE_API.replace(/\/+$/, ""),
        token: e.SIGNALBOX_CLOUDFLARE_TOKEN ?? null,
      },
      webhookSecret: e.SIGNALBOX_FAILOVER_WEBHOOK_SECRET ?? null,
    },
    publicUrl: e.SIGNALBOX_PUBLIC_URL?.replace(/\/+$/, "") ?? null,
    github: { api: e.SIGNALBOX_GITHUB_API, token: e.SIGNALBOX_GITHUB_TOKEN ?? null },
    allowNetworks: listOf(e.SIGNALBOX_ALLOW_NETWORKS),
    allowLocalRepositories: e.SIGNALBOX_ALLOW_LOCAL_REPOSITORIES === "1",
    allowLocalChecks: e.SIGNALBOX_ALLOW_LOCAL_CHECKS === "1",
    prober: {
      location: e.SIGNALBOX_LOCATION,
      canaries: listOf(e.SIGNALBOX_CANARIES),
      token: e.SIGNALBOX_PROBER_TOKEN ?? null,
    },
    logLevel: e.SIGNALBOX_LOG_LEVEL,
    build: {
      timeoutMs: e.SIGNALBOX_BUILD_TIMEOUT_S * 1_000,
      memoryBytes: e.SIGNALBOX_BUILD_MEMORY_MB * 2 ** 20,
      diskBytes: e.SIGNALBOX_BUILD_DISK_MB * 2 ** 20,
      concurrency: e.SIGNALBOX_BUILD_CONCURRENCY,
    },
    drainMs: e.SIGNALBOX_DRAIN_MS,
    vercelCli: vercelCli(e.SIGNALBOX_VERCEL_CLI, cwd),
    networkEnv: networkSettings(env),
    path: env.PATH ?? "/usr/local/bin:/usr/bin:/bin",
  };
}

/** A typing error would otherwise be told by every check, of every service, as a fault of its own. */
function checkNetworks(text: string, context: z.RefinementCtx): void {
  try {
    parseNetworks(listOf(text));
  } catch (error) {
    context.addIssue({ code: "custom", message: messageOf(error) });
  }
}

function listOf(text: string): string[] {
  return text
    .split(",")
    .map((part) => part.trim())
    .filter(Boolean);
}

function vercelCli(setting: string | undefined, cwd: string): Config["vercelCli"] {
  return setting === undefined || setting === "none" ? (setting ?? null) : resolve(cwd, setting);
}

const NETWORK_VARIABLES = [
  "HTTP_PROXY",
  "HTTPS_PROXY",
  "NO_PROXY",
  "http_proxy",
  "https_proxy",
  "no_proxy",
  "NODE_EXTRA_CA_CERTS",
  "SSL_CERT_FILE",
  "SSL_CERT_DIR",
  "GIT_SSL_CAINFO",
  "npm_config_registry",
  "npm_config_cafile",
] as const;

function networkSettings(env: NodeJS.ProcessEnv): Record<string, string> {
  const settings: Record<string, string> = {};
  for (const name of NETWORK_VARIABLES) {
    const value = env[name];
    if (value) settings[name] = value;
  }
  return settings;
}

/** `FOO= signalbox up` means "not set", as everywhere in the shell's world. */
function dropEmpty(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(env).filter(([, value]) => value !== ""));
}
