import { isLoopback } from "../client/transport.ts";
import type { Command } from "../command.ts";
import type { Context } from "../context.ts";
import type { Check } from "../doctor/check.ts";
import { checkControlPlane } from "../doctor/control-plane.ts";
import { checkCoverage } from "../doctor/coverage.ts";
import { checkDisk, checkFree, checkGit, checkListening, checkNode } from "../doctor/machine.ts";
import { EXIT } from "../exit-code.ts";

export const doctor: Command = {
  name: "doctor",
  summary: "look at everything that a deployment needs, and say what to do about what is missing",
  positionals: { usage: "", max: 0 },
  options: {},
  async run(context) {
    const checks = await runChecks(context);
    const broken = checks.filter((check) => !check.ok);
    if (context.json) context.printJson({ ok: broken.length === 0, url: context.api().url, checks });
    else tell(context, checks);
    return broken.length === 0 ? EXIT.ok : EXIT.failed;
  },
};

async function runChecks(context: Context): Promise<Check[]> {
  const { config } = context;
  const api = context.api();
  const { hostname } = new URL(api.url);
  const [git, disk, control] = await Promise.all([checkGit(), checkDisk(config.dir), checkControlPlane(api)]);
  const own = isLoopback(hostname) ? await checkOwnPorts(context, control[0]?.ok === true) : [];
  // Without the control plane, or with a token that it does not take, it could only repeat what is said above.
  const covered = control.every(({ ok }) => ok) ? await checkCoverage(api) : [];
  return [checkNode(process.version), git, disk, ...control, ...own, ...covered];
}

/** On this machine: with the control plane up its companions must answer, without it their ports must be free. */
function checkOwnPorts({ config }: Context, running: boolean): Promise<Check[]> {
  const host = config.host === "0.0.0.0" ? "127.0.0.1" : config.host;
  const ports = [
    { name: "control port", port: config.port, variable: "SIGNALBOX_PORT" },
    { name: "dock port", port: config.dockPort, variable: "SIGNALBOX_DOCK_PORT" },
    { name: "gateway port", port: config.gatewayPort, variable: "SIGNALBOX_GATEWAY_PORT" },
  ];
  if (!running) {
    return Promise.all(ports.map(({ name, port, variable }) => checkFree(name, config.host, port, variable)));
  }
  return Promise.all(ports.slice(1).map(({ name, port }) => checkListening(name, host, port)));
}

function tell({ paint, print }: Context, checks: readonly Check[]): void {
  const width = Math.max(...checks.map((check) => check.name.length));
  for (const { name, ok, found, hint } of checks) {
    print(`${ok ? paint.green("✓") : paint.red("✗")} ${name.padEnd(width)}  ${found}`);
    if (hint !== undefined) print(`  ${" ".repeat(width)}  ${paint.cyan("→")} ${hint}`);
  }
}
