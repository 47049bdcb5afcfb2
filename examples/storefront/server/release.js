import { readFileSync } from "node:fs";

const { version } = JSON.parse(readFileSync(new URL("../src/version.json", import.meta.url), "utf8"));

/** Which release this process is. The platform says the commit and the deployment, the tree says the version. */
export const release = {
  version,
  commit: process.env.VERCEL_GIT_COMMIT_SHA || null,
  deploymentId: process.env.VERCEL_DEPLOYMENT_ID || null,
};
