import { execFileSync, spawn } from "node:child_process";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Home } from "./homes.ts";
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

export type Rabbitmq = Service & {
  /** Of the management API, user and password `guest`. Null where it was not asked for. */
  readonly managementPort: number | null;
  /** Lets it find that it uses more memory than it may, as it does when it truly runs short. */
  raiseMemoryAlarm(): void;
};

/**
 * A RabbitMQ node of its own, on one scheduler: its scripts hold absolute paths, so Erlang is started as they would.
 * `config` are lines of rabbitmq.conf. User and password `guest`, from anywhere.
 */
export async function startRabbitmq(
  options: { place?: Place; management?: boolean; config?: readonly string[] } = {},
): Promise<Rabbitmq> {
  const home = requireHome("rabbitmq");
  const place = options.place ?? HERE;
  const [port = 0, managementPort = 0, distribution = 0, names = 0] = await Promise.all(
    [1, 2, 3, 4].map(freePort),
  );
  const dir = makeDir("rabbitmq");
  const erlang = layout(home);
  writeFileSync(join(dir, "plugins"), options.management ? "[rabbitmq_management].\n" : "[].\n");
  const management = [
    `management.tcp.port = ${managementPort}`,
    `management.tcp.ip = ${place.host}`,
    // Numbers that are gathered each second, not every five of them: a test waits for them.
    "collect_statistics_interval = 1000",
    ...["global", "basic", "detailed"].map(
      (each) => `management.sample_retention_policies.${each}.minute = 1`,
    ),
  ];
  const config = [
    "loopback_users = none",
    ...(options.management ? management : []),
    ...(options.config ?? []),
  ];
  writeFileSync(join(dir, "rabbitmq.conf"), `${config.join("\n")}\n`);
  const env = environment(home, { dir, host: place.host, port, distribution, names });
  const mapper = startPortMapper(erlang, env, place);
  const ready = async () => (await ask(place.host, port, "AMQP\0\0\u0009\u0001")) !== null;
  const begin = { name: "RabbitMQ", port, place, dir, env, ready, timeoutMs: 120_000 };
  try {
    const service = await startService({ ...begin, command: [join(erlang.bin, "erlexec"), ...ARGUMENTS] });
    const stop = () => service.stop().finally(() => mapper.kill("SIGKILL"));
    const raiseMemoryAlarm = () => {
      const cookie = readFileSync(join(dir, ".erlang.cookie"), "utf8");
      const [program = "", ...args] = [
        ...[...place.enter, join(erlang.bin, "erl_call"), "-address", `127.0.0.1:${distribution}`],
        ...["-c", cookie, "-a", "vm_memory_monitor set_vm_memory_high_watermark [0.000001]"],
      ];
      const answer = String(execFileSync(program, args, { env }));
      if (answer.trim() !== "ok") throw new Error(`The alarm was not raised: ${answer}`);
    };
    return { ...service, stop, managementPort: options.management ? managementPort : null, raiseMemoryAlarm };
  } catch (error) {
    mapper.kill("SIGKILL");
    throw error;
  }
}

/** One scheduler of each kind that does not spin while it waits: this machine's other cores are for the tests. */
const FRUGAL = "+S 1:1 +SDcpu 1:1 +SDio 1 +A 1 +sbwt none +sbwtdcpu none +sbwtdio none +W w".split(" ");
const ARGUMENTS = [
  ...["-noinput", "-s", "rabbit", "boot", "-boot", "start_sasl"],
  ...FRUGAL,
  ...["-start_epmd", "false", "-syslog", "logger", "[]", "-syslog", "syslog_error_logger", "false"],
  ...["-kernel", "prevent_overlapping_partitions", "false"],
];

type Layout = { readonly root: string; readonly bin: string; readonly rabbit: string };

function layout(home: Home): Layout {
  const root = join(home.root || "/", "usr/lib/erlang");
  const versioned = (folder: string, prefix: string) => {
    const name = readdirSync(folder).find((each) => each.startsWith(prefix));
    if (!name) throw new Error(`There is no ${prefix}* in ${folder}.`);
    return join(folder, name);
  };
  return {
    root,
    bin: join(versioned(root, "erts-"), "bin"),
    rabbit: versioned(home.program, "rabbitmq_server-"),
  };
}

type Ports = { dir: string; host: string; port: number; distribution: number; names: number };

function environment(home: Home, at: Ports): Record<string, string> {
  const { root, bin, rabbit } = layout(home);
  const { dir } = at;
  return {
    ...home.env,
    ROOTDIR: root,
    BINDIR: bin,
    EMU: "beam",
    PROGNAME: "erl",
    ERL_LIBS: join(rabbit, "plugins"),
    ERL_EPMD_PORT: String(at.names),
    ERL_EPMD_ADDRESS: "127.0.0.1",
    SYS_PREFIX: "",
    RABBITMQ_HOME: rabbit,
    RABBITMQ_PLUGINS_DIR: join(rabbit, "plugins"),
    RABBITMQ_NODENAME: "test@localhost",
    RABBITMQ_NODE_IP_ADDRESS: at.host,
    RABBITMQ_NODE_PORT: String(at.port),
    RABBITMQ_DIST_PORT: String(at.distribution),
    RABBITMQ_LOGS: "-",
    RABBITMQ_LOG_BASE: dir,
    RABBITMQ_MNESIA_BASE: dir,
    RABBITMQ_MNESIA_DIR: join(dir, "mnesia"),
    RABBITMQ_ENABLED_PLUGINS_FILE: join(dir, "plugins"),
    RABBITMQ_CONFIG_FILE: join(dir, "rabbitmq"),
    RABBITMQ_CONFIG_FILES: join(dir, "conf.d"),
    RABBITMQ_ADVANCED_CONFIG_FILE: join(dir, "advanced"),
    RABBITMQ_CONF_ENV_FILE: join(dir, "env"),
    RABBITMQ_FEATURE_FLAGS_FILE: join(dir, "feature-flags"),
    RABBITMQ_GENERATED_CONFIG_DIR: join(dir, "config"),
    RABBITMQ_SCHEMA_DIR: join(dir, "schema"),
    RABBITMQ_PID_FILE: join(dir, "pid"),
  };
}

/** Erlang's register of nodes, one for this node alone: the machine's own may not be there, or be another's. */
function startPortMapper(erlang: Layout, env: Record<string, string>, place: Place) {
  const [program = "", ...args] = [
    ...[...place.enter, "setpriv", "--pdeathsig", "KILL", "--"],
    ...[join(erlang.bin, "epmd"), "-relaxed_command_check"],
  ];
  const child = spawn(program, args, { env: { PATH: "/usr/sbin:/usr/bin:/bin", ...env }, stdio: "ignore" });
  child.on("error", () => {});
  return child;
}
