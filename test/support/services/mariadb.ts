import { spawn } from "node:child_process";
import { once } from "node:events";
import { cpSync, existsSync, mkdirSync, readFileSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { CACHE, type Home, prefixOf } from "./homes.ts";
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

export const MARIADB_USER = "signalbox";
export const MARIADB_PASSWORD = "correct horse";

const SMALL = [
  "--innodb-buffer-pool-size=8M",
  "--innodb-log-file-size=4M",
  "--innodb-data-file-path=ibdata1:4M:autoextend",
  "--innodb-autoextend-increment=1",
  "--innodb-temp-data-file-path=ibtmp1:4M:autoextend",
  "--innodb-flush-log-at-trx-commit=0",
  "--innodb-use-native-aio=0",
  "--key-buffer-size=64K",
  "--aria-pagecache-buffer-size=128K",
  "--performance-schema=off",
  "--table-open-cache=64",
  "--skip-name-resolve",
];

/**
 * A MariaDB with an administrator (MARIADB_USER, from anywhere), without a binary log.
 * `args` as on its command line: `["--max-connections=3"]`.
 */
export async function startMariadb(
  options: { place?: Place; args?: readonly string[]; port?: number } = {},
): Promise<Service> {
  const home = requireHome("mariadb");
  const place = options.place ?? HERE;
  const port = options.port ?? (await freePort());
  const template = await makeTemplate(home);
  const dir = makeDir("mariadb");
  cpSync(template, join(dir, "data"), { recursive: true });
  return startService({
    name: "MariaDB",
    port,
    place,
    dir,
    command: [
      home.program,
      ...base(home, join(dir, "data")),
      ...SMALL,
      `--socket=${join(dir, "socket")}`,
      `--bind-address=${place.host}`,
      `--port=${port}`,
      "--skip-log-bin",
      ...(options.args ?? []),
    ],
    env: home.env,
    ready: async () => (await ask(place.host, port, null)) !== null,
  });
}

function base(home: Home, data: string): string[] {
  const prefix = prefixOf(home);
  const messages = [join(prefix, "share/mysql"), join(prefix, "share/mariadb")].find((dir) =>
    existsSync(dir),
  );
  // As root it has to be told so.
  const user = process.getuid?.() === 0 ? ["--user=root"] : [];
  const plugins = `--plugin-dir=${join(prefix, "lib/mysql/plugin")}`;
  return [
    "--no-defaults",
    ...user,
    `--basedir=${prefix}`,
    `--datadir=${data}`,
    `--lc-messages-dir=${messages}`,
    plugins,
  ];
}

/** A data directory to copy from, made once for a clone: making one takes longer than all of a test's questions. */
async function makeTemplate(home: Home): Promise<string> {
  const template = join(CACHE, "mariadb-data");
  if (existsSync(template)) return template;
  const making = `${template}-${process.pid}`;
  mkdirSync(making, { recursive: true });
  const share = join(prefixOf(home), "share/mysql");
  const read = (file: string) => readFileSync(join(share, file), "utf8");
  const sql = [
    // Bootstrap takes one statement a line.
    "create database mysql;",
    "use mysql;",
    "set @current_hostname = 'localhost', @skip_auth_anonymous = 1, @auth_root_socket = null;",
    read("mysql_system_tables.sql"),
    read("mysql_performance_tables.sql"),
    read("mysql_system_tables_data.sql"),
    "flush privileges;",
    `create user '${MARIADB_USER}'@'%' identified by '${MARIADB_PASSWORD}';`,
    `grant all privileges on *.* to '${MARIADB_USER}'@'%' with grant option;`,
  ].join("\n");
  const child = spawn(
    home.program,
    [...base(home, making), ...SMALL, "--bootstrap", "--skip-networking", "--log-warnings=0"],
    { env: { PATH: "/usr/bin:/bin", LC_ALL: "C", ...home.env }, stdio: ["pipe", "ignore", "pipe"] },
  );
  let said = "";
  child.stderr.on("data", (chunk) => (said += String(chunk)));
  child.stdin.on("error", () => {});
  child.stdin.end(sql);
  const [status] = await once(child, "close");
  if (status !== 0) {
    rmSync(making, { recursive: true, force: true });
    throw new Error(`MariaDB could not make its tables:\n${said.slice(-2000)}`);
  }
  try {
    renameSync(making, template);
  } catch {
    // Another test's process was quicker.
    rmSync(making, { recursive: true, force: true });
  }
  return template;
}
