const HIDDEN = "[hidden]";

/** Replaces every secret in a text, as it is and URL-encoded. A short one only where it stands alone. */
export function hideSecrets(secrets: readonly string[]): (text: string) => string {
  const forms = secrets.flatMap((secret) => {
    const wellFormed = secret.toWellFormed();
    return [secret, encodeURIComponent(wellFormed), encodeURI(wellFormed)];
  });
  const ordered = [...new Set(forms)].filter(Boolean).sort((a, b) => b.length - a.length);
  if (ordered.length === 0) return (text) => text;
  const expression = new RegExp(ordered.map(toExpression).join("|"), "g");
  return (text) => text.replace(expression, HIDDEN);
}

function toExpression(secret: string): string {
  const literal = secret.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
  return secret.length < 4 ? `(?<![A-Za-z0-9_])${literal}(?![A-Za-z0-9_])` : literal;
}
