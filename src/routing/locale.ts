import { cookieOf } from "./conditions.ts";
import type { SourceRoute } from "./route.ts";

export type CompiledLocale = {
  readonly cookie: string | null;
  /** By locale, lower case. */
  readonly redirect: ReadonlyMap<string, string>;
};

export function compileLocale({ redirect = {}, cookie }: NonNullable<SourceRoute["locale"]>): CompiledLocale {
  const entries = Object.entries(redirect).map(([locale, to]) => [locale.toLowerCase(), to] as const);
  return { cookie: cookie ?? null, redirect: new Map(entries) };
}

/**
 * Where a visitor of this locale is to be sent; null: nowhere, or here already. The cookie's locale wins over what
 * the browser prefers, and only exact names count (`en` is not `en-US`).
 */
export function localeRedirect(
  locale: CompiledLocale,
  asked: {
    readonly host: string;
    readonly path: string;
    readonly header: (name: string) => string | undefined;
  },
): string | null {
  const cookie = locale.cookie === null ? undefined : cookieOf(asked.header("cookie") ?? "", locale.cookie);
  for (const wanted of [cookie ?? "", ...preferred(asked.header("accept-language") ?? "")]) {
    const to = locale.redirect.get(wanted.toLowerCase());
    if (to !== undefined) return isHere(to, asked) ? null : to;
  }
  return null;
}

/** The languages of an `Accept-Language`, best first. */
function preferred(header: string): string[] {
  const weighed = header.split(",").map((part) => {
    const [name = "", ...parameters] = part.split(";").map((text) => text.trim());
    const weight = parameters.find((parameter) => /^q\s*=/i.test(parameter))?.split("=")[1];
    return { name, weight: weight === undefined ? 1 : Number(weight) || 0 };
  });
  return weighed
    .filter(({ name, weight }) => name !== "" && weight > 0)
    .sort((a, b) => b.weight - a.weight)
    .map(({ name }) => name);
}

/** A redirect to where the visitor is would never end. */
function isHere(to: string, asked: { readonly host: string; readonly path: string }): boolean {
  const absolute = /^https?:\/\/([^/:]+)(?::\d+)?(\/.*)?$/i.exec(to);
  if (absolute === null) return to === asked.path;
  return absolute[1]?.toLowerCase() === asked.host && (absolute[2] ?? "/") === asked.path;
}
