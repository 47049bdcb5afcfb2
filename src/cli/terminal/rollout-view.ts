import type { Deployment, Service, Verdict } from "../client/deployment.ts";
import type { Paint } from "./paint.ts";
import { harmless } from "./width.ts";

/** `api 100 %, web 10 %`, where there are several; null otherwise. */
export function servicesText({ services }: Pick<Deployment, "services">): string | null {
  if (services === undefined || services.length < 2) return null;
  return services.map((service) => `${service.name} ${shareText(service)}`).join(", ");
}

/** A line for each service, where there are several: its share of the traffic, and where it is. */
export function serviceLines({ services }: Pick<Deployment, "services">, paint: Paint): string[] {
  if (services === undefined || services.length < 2) return [];
  const width = Math.max(...services.map(({ name }) => name.length));
  return services.map((service) => {
    const url = service.urls[0] ?? service.url ?? "";
    const share = shareText(service).padEnd("unchanged".length);
    return `  ${service.name.padEnd(width)}  ${paint.bold(share)}  ${url}`.trimEnd();
  });
}

function shareText({ unchanged, weight }: Service): string {
  return unchanged ? "unchanged" : `${Math.round(weight)} %`;
}

/** `✗ 10 %  errors: 4 % of 120 answers were 5xx` */
export function verdictText({ is, weight, name, reason }: Verdict, paint: Paint): string {
  const mark = { pass: paint.green("✓"), fail: paint.red("✗"), inconclusive: paint.yellow("?") }[is];
  return `${mark} ${Math.round(weight)} %  ${harmless(name)}: ${harmless(reason)}`;
}

/** The text of a log line, with its service before it where there are several. */
export function logText(
  line: { readonly service?: string; readonly text: string },
  deployment: Pick<Deployment, "services"> | null,
): string {
  const several = (deployment?.services?.length ?? 0) > 1;
  return several && line.service ? `${harmless(line.service)} | ${harmless(line.text)}` : harmless(line.text);
}
