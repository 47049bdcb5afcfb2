/** The value of one cookie in a `Cookie` header; null when it is not there. */
export function cookieValue(header: string, name: string): string | null {
  let at = header.indexOf(name);
  while (at !== -1) {
    const before = at === 0 ? ";" : header[at - 1];
    const end = at + name.length;
    if ((before === ";" || before === " ") && header[end] === "=") {
      const stop = header.indexOf(";", end);
      return header.slice(end + 1, stop === -1 ? undefined : stop).trim();
    }
    at = header.indexOf(name, end);
  }
  return null;
}
