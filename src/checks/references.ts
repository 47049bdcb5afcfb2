/** Settings as they are kept: a value may be the name of a secret instead, `{ "secret": "NAME" }`. */
export type SecretReference = { readonly secret: string };

export function isSecretReference(value: unknown): value is SecretReference {
  return isOnlyKey(value, "secret");
}

/** `{ variable: NAME }`: of the deployment that is checked. Filled in when its checks are made. */
export function isVariableReference(value: unknown): value is { readonly variable: string } {
  return isOnlyKey(value, "variable");
}

function isOnlyKey(value: unknown, key: string): boolean {
  if (typeof value !== "object" || value === null || Object.keys(value).length !== 1) return false;
  return typeof Object.getOwnPropertyDescriptor(value, key)?.value === "string";
}

export type Resolved = {
  readonly settings: unknown;
  /** Names that `find` knows no value of, each once. Their places hold null. */
  readonly missing: readonly string[];
  /** The values that were put in, each once. */
  readonly secrets: readonly string[];
};

/** Puts each secret in the place of its name. */
export function resolveSettings(settings: unknown, find: (secret: string) => string | null): Resolved {
  const missing = new Set<string>();
  const secrets = new Set<string>();
  const resolve = (value: unknown): unknown => {
    if (isSecretReference(value)) {
      const found = find(value.secret);
      if (found === null) missing.add(value.secret);
      else secrets.add(found);
      return found;
    }
    return mapInside(value, resolve);
  };
  return { settings: resolve(settings), missing: [...missing], secrets: [...secrets] };
}

/** A text to be shown that was made with secrets: of one that is an address its host is left, of any other nothing. */
export function withoutSecrets(text: string, secrets: readonly string[]): string {
  return secrets.reduce((shown, secret) => {
    const url = URL.parse(secret);
    const left = url?.host ? `${url.protocol}//${url.host}` : "***";
    // Subjects leave queries out.
    return [secret, secret.replace(/[?#].*$/s, "")]
      .filter((part) => part !== "")
      .reduce((rest, part) => rest.replaceAll(part, left), shown);
  }, text);
}

/** Puts each variable in the place of its name. What is not set keeps its reference. */
export function fillVariables(settings: unknown, env: Readonly<Record<string, string>>): unknown {
  const fill = (value: unknown): unknown => {
    if (isVariableReference(value)) return env[value.variable] ?? value;
    return mapInside(value, fill);
  };
  return fill(settings);
}

/** Names of the references that are still there. */
export function referencesIn(settings: unknown): {
  readonly secrets: string[];
  readonly variables: string[];
} {
  const secrets = new Set<string>();
  const variables = new Set<string>();
  const look = (value: unknown): unknown => {
    if (isSecretReference(value)) secrets.add(value.secret);
    else if (isVariableReference(value)) variables.add(value.variable);
    else return mapInside(value, look);
    return value;
  };
  look(settings);
  return { secrets: [...secrets], variables: [...variables] };
}

/** The same list or mapping with every value replaced; anything else as it is. */
export function mapInside(value: unknown, replace: (value: unknown, key: string) => unknown): unknown {
  if (Array.isArray(value)) return value.map((each, at) => replace(each, String(at)));
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, replace(each, key)]));
}
