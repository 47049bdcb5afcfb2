import type { ProbeType } from "../../checks/model.ts";
import type { ProbeKind } from "../../checks/probe-kind.ts";

/**
 * Every kind of probe, loaded only where it is asked for: a prober without a check of MySQL never reads its driver.
 * A new one is a file `<type>.ts` here, its test, its page in `docs/health/`, and one line. Files load their drivers
 * within `run`, so that reading all the schemas of settings costs little.
 */
const LOADERS = {
  // Network.
  http: async () => (await import("./http.ts")).http,
  tcp: async () => (await import("./tcp.ts")).tcp,
  dns: async () => (await import("./dns.ts")).dns,
  tls: async () => (await import("./tls.ts")).tls,
  grpc: async () => (await import("./grpc.ts")).grpc,
  websocket: async () => (await import("./websocket.ts")).websocket,
  icmp: async () => (await import("./icmp.ts")).icmp,
  // Databases.
  postgres: async () => (await import("./postgres.ts")).postgres,
  mysql: async () => (await import("./mysql.ts")).mysql,
  redis: async () => (await import("./redis.ts")).redis,
  mongodb: async () => (await import("./mongodb.ts")).mongodb,
  rabbitmq: async () => (await import("./rabbitmq.ts")).rabbitmq,
  // Queues and their workers.
  bullmq: async () => (await import("./bullmq.ts")).bullmq,
  "pg-boss": async () => (await import("./pg-boss.ts")).pgBoss,
  "graphile-worker": async () => (await import("./graphile-worker.ts")).graphileWorker,
  "rabbitmq-queue": async () => (await import("./rabbitmq-queue.ts")).rabbitmqQueue,
  // Browsers.
  browserbase: async () => (await import("./browserbase.ts")).browserbase,
  cdp: async () => (await import("./cdp.ts")).cdp,
  browserless: async () => (await import("./browserless.ts")).browserless,
  selenium: async () => (await import("./selenium.ts")).selenium,
  // Vendors and heartbeats.
  heartbeat: async () => (await import("./heartbeat.ts")).heartbeat,
  statuspage: async () => (await import("./statuspage.ts")).statuspage,
  // The prober's own machine.
  docker: async () => (await import("./docker.ts")).docker,
  command: async () => (await import("./command.ts")).command,
} satisfies Loaders;

/** One for each type: a missing one does not compile. */
type Loaders = Record<ProbeType, () => Promise<ProbeKind>>;

/** The types of probe that there are, in the order of the documentation. */
export function probeTypes(): ProbeType[] {
  return Object.keys(LOADERS) as ProbeType[];
}

export async function loadProbe(type: ProbeType): Promise<ProbeKind> {
  return await (LOADERS as Loaders)[type]();
}

/** All of them, for what reads configurations: `settings` of each is what may be written under its type. */
export async function loadProbes(): Promise<ReadonlyMap<ProbeType, ProbeKind>> {
  const kinds = await Promise.all(probeTypes().map(loadProbe));
  return new Map(kinds.map((kind) => [kind.type, kind]));
}
