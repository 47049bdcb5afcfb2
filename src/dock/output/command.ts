/**
 * The start command of a release that is a Build Output with functions. The runner turns exactly this into
 * `node <this installation>/dock/output/main.(ts|js)`, so that no path of the installation is ever stored.
 */
export const OUTPUT_SERVER = "signalbox-build-output";
