import { randomUUID } from "node:crypto";
import { readFileSync } from "node:fs";

const { version } = JSON.parse(readFileSync(new URL("../src/version.json", import.meta.url), "utf8"));

/**
 * Which release this process is. The tree says the version, the platform the commit and the deployment; `instance`
 * tells two processes of one release apart.
 */
export const release = {
  version,
  instance: randomUUID().slice(0, 8),
  commit: process.env.VERCEL_GIT_COMMIT_SHA || null,
  deploymentId: process.env.VERCEL_DEPLOYMENT_ID || null,
};
