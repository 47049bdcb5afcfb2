import { isAbsolute } from "node:path";
import { AppError } from "../foundation/errors.ts";
import type { Snapshot } from "./snapshot.ts";

type Fields = Readonly<Record<string, unknown>>;

// Ids travel in a cookie whose separator is a dot, and in a response header.
const ID = /^[A-Za-z0-9_-]{1,128}$/;
const HOST = /^[a-z0-9_](?:[a-z0-9_.-]{0,251}[a-z0-9_])?$|^\[[0-9a-f:.]+\]$/;
// `sockaddr_un.sun_path` holds 108 bytes with its NUL on Linux, 104 elsewhere.
const SOCKET_PATH_BYTES = 103;

/**
 * Checks what somebody pushed or what was read from disk.
 * @throws AppError `bad_request` with every problem in `details`, as `path: problem` strings
 */
export function parseSnapshot(value: unknown): Snapshot {
  const problems = snapshotProblems(value);
  if (problems.length > 0) {
    throw new AppError("bad_request", `The snapshot has ${problems.length} problem(s): ${problems[0]}`, {
      hint: "Nothing was changed. Correct the problems in `details` and push again.",
      details: problems,
    });
  }
  return value as Snapshot;
}

/** Every problem of a snapshot; empty when it can be served. */
export function snapshotProblems(value: unknown): string[] {
  if (!isFields(value)) return ["snapshot: must be an object"];
  const problems: string[] = [];
  if (value.version !== 1) problems.push(`version: must be 1, not ${JSON.stringify(value.version)}`);
  if (!isWhole(value.generation) || value.generation < 1) {
    problems.push("generation: must be a whole number from 1");
  }
  const releases = isFields(value.releases) ? value.releases : null;
  if (releases === null) problems.push("releases: must be an object");
  for (const [id, release] of Object.entries(releases ?? {})) {
    problems.push(...releaseProblems(id, release).map((problem) => `releases.${id}${problem}`));
  }
  const gone: unknown = value.gone ?? [];
  if (!Array.isArray(gone) || !gone.every((host) => typeof host === "string"))
    problems.push("gone: must be a list of host names");
  if (!isFields(value.hosts)) return [...problems, "hosts: must be an object"];
  for (const [host, route] of Object.entries(value.hosts)) {
    if (!HOST.test(host)) problems.push(`hosts.${host}: must be a lower-case host name without port`);
    problems.push(...routeProblems(route, releases ?? {}).map((problem) => `hosts.${host}${problem}`));
  }
  return problems;
}

function releaseProblems(id: string, release: unknown): string[] {
  if (!isFields(release)) return [": must be an object"];
  const problems: string[] = [];
  if (!ID.test(id)) problems.push(": the id must be 1 to 128 of A-Z, a-z, 0-9, _ and -");
  if (release.id !== id) problems.push(`.id: must be "${id}", the key it is under`);
  if (typeof release.project !== "string" || release.project === "")
    problems.push(".project: must be a text");
  if (!isAbsolutePath(release.manifest)) problems.push(".manifest: must be an absolute path");
  if (release.socket !== null && !isAbsolutePath(release.socket)) {
    problems.push(".socket: must be an absolute path or null");
  } else if (typeof release.socket === "string" && Buffer.byteLength(release.socket) > SOCKET_PATH_BYTES) {
    problems.push(`.socket: is longer than ${SOCKET_PATH_BYTES} bytes, which no unix socket's path can be`);
  }
  return problems;
}

function routeProblems(route: unknown, releases: Fields): string[] {
  if (!isFields(route)) return [": must be an object"];
  const { targets, rollout } = route;
  const problems: string[] = [];
  if (rollout !== null && !(typeof rollout === "string" && ID.test(rollout))) {
    problems.push(".rollout: must be null, or 1 to 128 of A-Z, a-z, 0-9, _ and -");
  }
  if (!Array.isArray(targets) || targets.length === 0) return [...problems, ".targets: must have an entry"];
  if (targets.length > 1 && rollout === null) problems.push(".rollout: a split needs one");
  let total = 0;
  const seen = new Set<unknown>();
  for (const [index, target] of targets.entries()) {
    const at = `.targets[${index}]`;
    if (!isFields(target)) {
      problems.push(`${at}: must be an object`);
      continue;
    }
    if (typeof target.release !== "string" || !Object.hasOwn(releases, target.release)) {
      problems.push(`${at}.release: ${JSON.stringify(target.release)} is not in releases`);
    }
    if (seen.has(target.release)) problems.push(`${at}.release: is named twice`);
    seen.add(target.release);
    if (isWhole(target.weight) && target.weight >= 0 && target.weight <= 100) total += target.weight;
    else problems.push(`${at}.weight: must be a whole percent from 0 to 100`);
  }
  if (total !== 100) problems.push(`.targets: weights must sum to 100, not ${total}`);
  for (const field of ["draining", "nameable"]) problems.push(...timedProblems(field, route, releases));
  return [...problems, ...holdProblems(route.hold), ...gateProblems(route.gate)];
}

/** Releases beside the targets: each one there, and none of another project. */
function timedProblems(field: string, route: Fields, releases: Fields): string[] {
  const list = route[field];
  if (list === undefined) return [];
  if (!Array.isArray(list)) return [`.${field}: must be a list`];
  const projectOf = (id: unknown) => {
    const release = typeof id === "string" && Object.hasOwn(releases, id) ? releases[id] : null;
    return isFields(release) ? release.project : null;
  };
  const project = projectOf((route.targets as Fields[])[0]?.release);
  return list.flatMap((entry: unknown, index) => {
    const at = `.${field}[${index}]`;
    if (!isFields(entry)) return [`${at}: must be an object`];
    if (!isWhole(entry.untilMs)) return [`${at}.untilMs: must be milliseconds since 1970`];
    if (projectOf(entry.release) !== null && projectOf(entry.release) === project) return [];
    return [`${at}.release: ${JSON.stringify(entry.release)} is no release of the host's project`];
  });
}

function holdProblems(hold: unknown): string[] {
  if (hold === undefined || hold === null) return [];
  if (!isFields(hold)) return [".hold: must be an object or null"];
  const problems: string[] = [];
  if (typeof hold.id !== "string" || !ID.test(hold.id)) problems.push(".hold.id: must be an id");
  if (!isWhole(hold.untilMs)) problems.push(".hold.untilMs: must be milliseconds since 1970");
  if (!isWhole(hold.maxMs) || hold.maxMs < 1 || hold.maxMs > 60_000)
    problems.push(".hold.maxMs: must be from 1 to 60000");
  if (!isWhole(hold.maxRequests) || hold.maxRequests < 1 || hold.maxRequests > 10_000)
    problems.push(".hold.maxRequests: must be from 1 to 10000");
  return problems;
}

function gateProblems(gate: unknown): string[] {
  if (gate === undefined) return [];
  if (!isFields(gate)) return [".gate: must be an object"];
  if (gate.kind === "paused") return [];
  if (gate.kind === "protected") {
    const isList = Array.isArray(gate.bypass) && gate.bypass.every((hash) => /^[0-9a-f]{64}$/.test(hash));
    return isList ? [] : [".gate.bypass: must be a list of SHA-256 in hex"];
  }
  if (gate.kind !== "redirect") return [".gate.kind: must be paused, protected or redirect"];
  const problems: string[] = [];
  if (typeof gate.to !== "string" || !HOST.test(gate.to)) problems.push(".gate.to: must be a host name");
  if (![301, 302, 307, 308].includes(Number(gate.status)))
    problems.push(".gate.status: must be a redirect's");
  return problems;
}

function isFields(value: unknown): value is Fields {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isWhole(value: unknown): value is number {
  return Number.isSafeInteger(value);
}

function isAbsolutePath(value: unknown): value is string {
  return typeof value === "string" && isAbsolute(value) && !value.includes("\0");
}
