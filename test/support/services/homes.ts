import { existsSync, readdirSync } from "node:fs";
import { delimiter, dirname, join, resolve } from "node:path";

/** What the tests run for real beside PostgreSQL, and the Debian packages that hold it. */
export const SERVICES = {
  redis: { packages: ["redis-server"], program: "usr/bin/redis-server", installed: ["redis-server"] },
  mariadb: { packages: ["mariadb-server-core"], program: "usr/sbin/mariadbd", installed: ["mariadbd"] },
  rabbitmq: {
    packages: ["rabbitmq-server"],
    program: "usr/lib/rabbitmq/lib",
    installed: ["/usr/lib/rabbitmq/lib"],
  },
  chromium: {
    packages: ["chromium", "fonts-dejavu-core"],
    program: "usr/lib/chromium/chromium",
    installed: ["chromium", "chromium-browser", "google-chrome"],
  },
  iproute2: { packages: ["iproute2"], program: "bin/ip", installed: ["ip"] },
} as const satisfies Record<string, Entry>;

type Entry = {
  readonly packages: readonly string[];
  /** Where it lies below the folder that the packages are unpacked to. */
  readonly program: string;
  /** Its names on PATH, or its absolute path, where the machine has it already. */
  readonly installed: readonly string[];
};

export type ServiceName = keyof typeof SERVICES;

/** Where a service's files are: on the machine itself, or unpacked below our cache. */
export type Home = {
  /** The program, or for RabbitMQ the folder of its versions. */
  readonly program: string;
  /** What stands before `/usr`: empty on the machine itself. */
  readonly root: string;
  /** What the program needs to find its unpacked libraries. */
  readonly env: Readonly<Record<string, string>>;
};

/** Unpacked once for a clone: `scripts/test-services.ts` does. */
export const CACHE = resolve(import.meta.dirname, "../../../node_modules/.cache/signalbox-services");

/** Null where it is neither installed nor unpacked; then `npm test` could not get it, and has said why. */
export function homeOf(service: ServiceName): Home | null {
  const { installed, program } = SERVICES[service] as Entry;
  for (const name of installed) {
    const path = name.startsWith("/") ? (existsSync(name) ? name : null) : onPath(name);
    if (path !== null) return { program: path, root: "", env: {} };
  }
  const root = join(CACHE, service);
  const unpacked = join(root, program);
  if (!existsSync(unpacked)) return null;
  return { program: unpacked, root, env: { LD_LIBRARY_PATH: libraries(root).join(delimiter) } };
}

function onPath(name: string): string | null {
  const folders = [...(process.env.PATH ?? "").split(delimiter), "/usr/sbin", "/sbin"];
  return folders.map((folder) => join(folder, name)).find((path) => existsSync(path)) ?? null;
}

/** The folders of an architecture's libraries, and those directly below (libpulse keeps some of its own in one). */
function libraries(root: string): string[] {
  const folders: string[] = [];
  for (const base of [join(root, "usr/lib"), join(root, "lib")]) {
    if (!existsSync(base)) continue;
    for (const name of readdirSync(base).filter((each) => each.includes("-linux-gnu"))) {
      const below = readdirSync(join(base, name), { withFileTypes: true });
      folders.push(join(base, name));
      for (const each of below) {
        if (each.isDirectory() && holdsLibraries(join(base, name, each.name)))
          folders.push(join(base, name, each.name));
      }
    }
  }
  return folders;
}

function holdsLibraries(folder: string): boolean {
  return readdirSync(folder).some((name) => /^lib.*\.so(\.|$)/.test(name));
}

/** The folder above the one that a program lies in: `/usr` for `/usr/sbin/mariadbd`. */
export function prefixOf(home: Home): string {
  return dirname(dirname(home.program));
}
