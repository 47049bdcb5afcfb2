import { BlockList, isIP } from "node:net";
import { AppError, errorCodeOf } from "./errors.ts";
import { systemResolve } from "./system-resolve.ts";

/**
 * The guard for addresses that a user supplied (SSRF). Names are resolved by us, every address is checked, and the
 * caller connects to exactly what was returned: a name that is resolved twice can answer differently the second time.
 */

/** Not globally reachable, or of special purpose. Source: IANA special-purpose registries; RFC 6890 and after. */
const SPECIAL_V4 = [
  "0.0.0.0/8",
  "10.0.0.0/8",
  "100.64.0.0/10",
  "127.0.0.0/8",
  "169.254.0.0/16",
  "172.16.0.0/12",
  "192.0.0.0/24",
  "192.0.2.0/24",
  "192.31.196.0/24",
  "192.52.193.0/24",
  "192.88.99.0/24",
  "192.168.0.0/16",
  "192.175.48.0/24",
  "198.18.0.0/15",
  "198.51.100.0/24",
  "203.0.113.0/24",
  "224.0.0.0/4",
  "240.0.0.0/4",
] as const;

/** Of IPv6 only 2000::/3 is global unicast; within it, these are not ordinary hosts. */
const SPECIAL_V6 = ["2001::/23", "2001:db8::/32", "2620:4f:8000::/48", "3fff::/20"] as const;
const GLOBAL_V6 = networks(["2000::/3"]);
const SPECIAL = networks([...SPECIAL_V4, ...SPECIAL_V6]);

/**
 * Where clouds keep credentials of the machine: an allowed network that only happens to hold one of these does not
 * open it, the address by itself (`/32`, `/128`) does. 168.63.129.16 is Azure's, and otherwise looks public.
 */
const METADATA = networks([
  ...["169.254.169.254/32", "169.254.170.2/32", "169.254.170.23/32", "169.254.42.42/32", "169.254.0.23/32"],
  ...["192.0.0.192/32", "100.100.100.200/32", "168.63.129.16/32", "fd00:ec2::254/128", "fd00:ec2::23/128"],
  ...["fd20:ce::254/128", "fd00:42::42/128"],
]);

const MAPPED = prefixOf("::ffff:0:0", 96);
const COMPATIBLE = prefixOf("::", 96);
const NAT64 = prefixOf("64:ff9b::", 96);
const NAT64_LOCAL = prefixOf("64:ff9b:1::", 48);
const SIX_TO_FOUR = prefixOf("2002::", 16);
const TEREDO = prefixOf("2001::", 32);

/** True when `address` (an IP literal) is an ordinary host of the public internet. What is no address: false. */
export function isPublicAddress(address: string): boolean {
  const kind = isIP(address);
  if (kind === 4) return isPublicV4(address);
  if (kind !== 6 || address.includes("%")) return false;
  const words = wordsOf(address);
  const inner = embeddedV4(words);
  if (inner !== null) return inner.every(isPublicV4);
  const text = words.map((word) => word.toString(16)).join(":");
  return GLOBAL_V6.check(text, "ipv6") && !SPECIAL.check(text, "ipv6");
}

function isPublicV4(address: string): boolean {
  return !SPECIAL.check(address, "ipv4") && !METADATA.check(address, "ipv4");
}

/** Networks that are allowed beside the public ones. @throws AppError naming what is no CIDR. */
export function parseNetworks(cidrs: readonly string[]): Networks {
  for (const cidr of cidrs) {
    const [address = "", length = "", ...rest] = cidr.trim().split("/");
    const bits = { 0: -1, 4: 32, 6: 128 }[isIP(address)] ?? -1;
    if (rest.length === 0 && /^\d{1,3}$/.test(length) && Number(length) <= bits) continue;
    throw new AppError("bad_request", `"${cidr}" is no network.`, {
      hint: "Write networks as CIDR, for example 10.0.0.0/8,fd00::/8.",
    });
  }
  const trimmed = cidrs.map((cidr) => cidr.trim());
  const single = trimmed.filter((cidr) => cidr.endsWith(cidr.includes(":") ? "/128" : "/32"));
  return { all: networks(trimmed), single: networks(single) };
}

/** Networks, and those of them that are one address. */
export type Networks = { readonly all: BlockList; readonly single: BlockList };

/** The networks that a project may reach beside the public ones. Asked at each call, so that a change holds at once. */
export type NetworksOf = (projectId: string) => Promise<readonly string[]>;

/** What to do about a host that is refused and should not be. */
export const ALLOW_HINT =
  "If this host is meant to be reached, an owner can allow its network: `signalbox network allow <cidr>` " +
  "for the project, or SIGNALBOX_ALLOW_NETWORKS for all of them.";

/**
 * The addresses of a host name or IP literal (as in a URL, brackets allowed), each public or in `allowNetworks`.
 * One bad address refuses the host: a mix of public and private ones is how DNS rebinding begins.
 * @throws AppError `bad_request` when refused, `unavailable` when the name cannot be resolved now.
 */
export async function resolvePublic(host: string, allowNetworks: readonly string[]): Promise<string[]> {
  const allowed = parseNetworks(allowNetworks);
  const name = host.replace(/^\[|\]$/g, "");
  const addresses = isIP(name) === 0 ? await resolveName(name) : [name];
  const refused = refusedAddress(addresses, allowed);
  if (refused === null) return addresses;
  throw new AppError("bad_request", `${name} is at ${refused}, which is no public address.`, {
    hint: ALLOW_HINT,
  });
}

/** The first that is neither public nor allowed; null: all of them may be reached. */
export function refusedAddress(addresses: readonly string[], allowed: Networks): string | null {
  return addresses.find((address) => !isPublicAddress(address) && !isIn(allowed, address)) ?? null;
}

async function resolveName(name: string): Promise<string[]> {
  try {
    return await systemResolve(name);
  } catch (error) {
    const code = errorCodeOf(error);
    if (code === "ENOTFOUND") {
      throw new AppError("bad_request", `There is no host ${name}.`, {
        hint: "Check its spelling.",
        cause: error,
      });
    }
    throw new AppError("unavailable", `The host ${name} could not be resolved (${code ?? "unknown"}).`, {
      hint: "Check this machine's DNS; the request can be repeated.",
      cause: error,
    });
  }
}

function isIn(allowed: Networks, address: string): boolean {
  if (isIP(address) === 0 || address.includes("%")) return false;
  // Only the mapped form is the same host; a tunnel to an allowed network is not.
  const words = isIP(address) === 6 ? wordsOf(address) : null;
  const plain = words !== null && hasPrefix(words, MAPPED) ? v4From(words, 6) : address;
  const family = isIP(plain) === 4 ? "ipv4" : "ipv6";
  const list = METADATA.check(plain, family) ? allowed.single : allowed.all;
  return list.check(plain, family) || (plain !== address && list.check(address, "ipv6"));
}

/** The IPv4 addresses that an IPv6 address stands for or tunnels to; null when it is none of these forms. */
function embeddedV4(words: readonly number[]): string[] | null {
  if (hasPrefix(words, MAPPED) || hasPrefix(words, NAT64) || hasPrefix(words, COMPATIBLE))
    return [v4From(words, 6)];
  if (hasPrefix(words, SIX_TO_FOUR)) return [v4From(words, 1)];
  // The server's address, and the client's with all bits flipped (RFC 4380, 4).
  if (hasPrefix(words, TEREDO))
    return [
      v4From(words, 2),
      v4From(
        words.map((word) => word ^ 0xffff),
        6,
      ),
    ];
  // A translator of its owner's network: never public (RFC 8215).
  if (hasPrefix(words, NAT64_LOCAL)) return ["127.0.0.1"];
  return null;
}

function v4From(words: readonly number[], at: number): string {
  const high = words[at] ?? 0;
  const low = words[at + 1] ?? 0;
  return `${high >> 8}.${high & 255}.${low >> 8}.${low & 255}`;
}

/** The eight 16-bit words of a valid IPv6 address. */
function wordsOf(address: string): number[] {
  const dotted = /^(.*:)(\d+)\.(\d+)\.(\d+)\.(\d+)$/.exec(address);
  const text = dotted ? `${dotted[1]}${hex(dotted[2], dotted[3])}:${hex(dotted[4], dotted[5])}` : address;
  const [head = "", tail] = text.split("::");
  const front = head.split(":").filter(Boolean);
  const back = (tail ?? "").split(":").filter(Boolean);
  const zeros = tail === undefined ? 0 : 8 - front.length - back.length;
  return [...front, ...Array.from({ length: zeros }, () => "0"), ...back].map((word) =>
    Number.parseInt(word, 16),
  );
}

function hex(high: string | undefined, low: string | undefined): string {
  return (Number(high) * 256 + Number(low)).toString(16);
}

type Prefix = { readonly words: readonly number[]; readonly bits: number };

function prefixOf(address: string, bits: number): Prefix {
  return { words: wordsOf(address), bits };
}

function hasPrefix(words: readonly number[], prefix: Prefix): boolean {
  const whole = prefix.bits / 16;
  return prefix.words.slice(0, whole).every((word, index) => words[index] === word);
}

function networks(cidrs: readonly string[]): BlockList {
  const list = new BlockList();
  for (const cidr of cidrs) {
    const [address = "", bits] = cidr.split("/");
    list.addSubnet(address, Number(bits), isIP(address) === 4 ? "ipv4" : "ipv6");
  }
  return list;
}
