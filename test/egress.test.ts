import { execFileSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { expect, test } from "vitest";

/**
 * Whoever calls an address that a user supplied does it through the guard: foundation/guarded-connect.ts and
 * guarded-request.ts (docs/network-guard.md). Everything else that opens connections stands here, with the reason why
 * it may; a new file of that kind is refused until it does.
 */
const MAY: Readonly<Record<string, string>> = {
  "src/foundation/guarded-connect.ts": "the guard: connects to addresses that it checked",
  "src/foundation/system-resolve.ts": "looks names up, and connects to none",
  "src/foundation/guarded-request.ts": "the guard: its agent connects by guarded-connect.ts",
  "src/dock/output/guarded-request.ts": "connects to one of the addresses that safe-fetch.ts checked",
  "src/dock/webhooks/deliver.ts": "its agent has guardedConnector",
  "src/providers/metrics/prometheus.ts": "its agent has guardedConnector",
  "src/providers/probe/http.ts": "its agent has guardedConnector; a WebSocket is given a guarded socket",
  "src/providers/migrator/postgres-session.ts": "connects to addresses that postgres-address.ts checked",
  "src/providers/hostname-switch/cloudflare.ts":
    "the address is Cloudflare's, or the operator's in the environment",
  "src/providers/target/vercel-client.ts": "the address is Vercel's or the dock's, from the environment",
  "src/prober/connectivity.ts": "canaries are the operator's, from the environment",
  "src/prober/control-plane.ts": "the address is the operator's, from the environment",
  "src/providers/probes/conversation.ts": "TLS on a socket that is guarded already",
  "src/providers/probes/docker.ts": "a Unix socket that an administrator named; TCP goes through connect.ts",
  "src/providers/probes/browserbase.ts": "the SDK is given a fetch that goes through connect.ts",
  "src/providers/probes/dns.ts": "asks the machine's resolvers, or one whose address the guard checked",
  "src/providers/probes/icmp.ts": "ping is given an address that the guard checked",
  "src/providers/probes/postgres/session.ts": "the driver is given a guarded socket",
  "src/providers/pull-requests/github-client.ts":
    "the address is GitHub's, or the operator's in the environment",
  "src/providers/source/git-run.ts": "git is given addresses that git-address.ts checked",
  "src/providers/source/git-version.ts": "git is asked for its version, and connects to nobody",
  "src/providers/probes/grpc.ts": "HTTP/2 on a socket that is guarded already",
  "src/providers/probes/mongodb/hello.ts": "speaks over a guarded connection of conversation.ts",
  "src/providers/probes/mongodb/log-in.ts": "the driver is given addresses that the guard checked",
  "src/providers/probes/mysql/session.ts": "the driver is given a guarded socket",
  "src/providers/probes/read-only-session.ts": "the driver is given a guarded socket",
  "src/cli/client/transport.ts": "the CLI, on its user's own machine",
  "src/cli/commands/gateway-reload.ts": "a socket of this installation",
  "src/cli/doctor/machine.ts": "the CLI, on its user's own machine",
  "src/dock/crons/fire.ts": "a socket of this installation",
  "src/dock/output/ask-self.ts": "itself",
  "src/dock/output/child/edge-function.ts": "an app's own code, in the app's own process",
  "src/dock/output/functions/call.ts": "a socket of this installation",
  "src/dock/run/wait-until-up.ts": "a socket of this installation",
  "src/gateway/admin-client.ts": "a socket of this installation",
  "src/gateway/admin.ts": "a socket of this installation",
  "src/gateway/app-connection.ts": "a release of ours, by its place in the snapshot",
  "src/gateway/upgrade.ts": "a release of ours, by its place in the snapshot",
  "src/dock/owner-lock.ts": "our own database",
  "src/foundation/await-database.ts": "our own database",
  "src/foundation/db.ts": "our own database",
  "src/foundation/embedded-postgres.ts": "our own database",
  "src/foundation/notify.ts": "our own database",
};

const OPENS: readonly RegExp[] = [
  /\b(?:net|tls|http2)\.(?:connect|createConnection)\(|\bnew net\.Socket\(/,
  /\bhttps?\.(?:request|get)\b|(?<![.\w`"])fetch\((?![^)]*\)(?: \{$|: \w))|\bnew (?:WebSocket|EventSource)\(/m,
  /^import (?!type\b)[^;]*\bfrom "(?:undici|node:dgram|node:http2|ws|mysql2[/\w]*|mongodb|ioredis|redis|amqplib)"/m,
  /^import \{[^}]*(?<!type )\b(?:request|get|connect|createConnection)\b[^}]*\} from "node:(?:https?|net|tls)"/m,
  /\bnew pg\.(?:Client|Pool)\(|\bimport\("(?:undici|ws|pg|mysql2[/\w]*|mongodb|ioredis|redis|amqplib)"\)/,
  /\bnew (?:Octokit|VercelCore)\(|\bimport\("@browserbasehq\/sdk"\)|\bfrom "node:dns[/\w]*"/,
  /\bexecFile\("|\bexec git\b/,
];

const opening = execFileSync("git", ["ls-files", "-co", "--exclude-standard", "src"], { encoding: "utf8" })
  .split("\n")
  .filter((file) => /\.(ts|mjs)$/.test(file) && !/\.test\.ts$/.test(file) && existsSync(file))
  .filter((file) => {
    const code = readFileSync(file, "utf8").replace(/^\s*(?:\/\/|\/\*|\*).*$/gm, "");
    return OPENS.some((pattern) => pattern.test(code));
  });

test("only what is listed opens connections by itself; all else goes through the guard", () => {
  expect(opening.filter((file) => !(file in MAY))).toEqual([]);
});

test("the list has nothing that opens none", () => {
  expect(Object.keys(MAY).filter((file) => !opening.includes(file))).toEqual([]);
});
