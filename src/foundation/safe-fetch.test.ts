import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { isPublicAddress, parseNetworks, resolvePublic } from "./safe-fetch.ts";

const PRIVATE_V4 = [
  "0.0.0.0",
  "10.1.2.3",
  "100.64.0.1",
  "100.100.100.200",
  "127.0.0.1",
  "127.255.255.254",
  "169.254.169.254",
  "172.16.0.1",
  "172.31.255.255",
  "192.0.0.1",
  "192.0.2.1",
  "192.168.1.1",
  "198.18.0.1",
  "198.51.100.1",
  "203.0.113.9",
  "224.0.0.1",
  "239.255.255.255",
  "240.0.0.1",
  "255.255.255.255",
];
const PUBLIC_V4 = [
  "1.1.1.1",
  "8.8.8.8",
  "93.184.216.34",
  "100.63.255.255",
  "100.128.0.0",
  "172.32.0.1",
  "223.255.255.255",
];

/** Every IPv6 form that reaches the IPv4 address. */
function disguises(v4: string): string[] {
  const [a = 0, b = 0, c = 0, d = 0] = v4.split(".").map(Number);
  const word = (x: number, y: number) => (x * 256 + y).toString(16);
  const flipped = `${(0xffff ^ (a * 256 + b)).toString(16)}:${(0xffff ^ (c * 256 + d)).toString(16)}`;
  return [
    `::ffff:${v4}`,
    `::ffff:${word(a, b)}:${word(c, d)}`,
    `0:0:0:0:0:FFFF:${word(a, b)}:${word(c, d)}`,
    `64:ff9b::${v4}`,
    `64:ff9b::${word(a, b)}:${word(c, d)}`,
    `2002:${word(a, b)}:${word(c, d)}::1`,
    `2001:0:102:304::${flipped}`,
    `2001:0:${word(a, b)}:${word(c, d)}:0:0:fefe:fefe`,
  ];
}

describe("a public address", () => {
  it.each(PRIVATE_V4)("is not %s, in none of its IPv6 forms", (address) => {
    expect(isPublicAddress(address)).toBe(false);
    for (const disguise of disguises(address))
      expect([disguise, isPublicAddress(disguise)]).toEqual([disguise, false]);
  });

  it.each(PUBLIC_V4)("is %s", (address) => {
    expect(isPublicAddress(address)).toBe(true);
    expect(isPublicAddress(`::ffff:${address}`)).toBe(true);
  });

  it.each([
    "::",
    "::1",
    "fe80::1",
    "fe80::1%eth0",
    "fc00::1",
    "fd00:ec2::254",
    "ff02::1",
    "2001:db8::1",
    "3fff::1",
    "64:ff9b:1::8.8.8.8",
    "100::1",
    "5f00::1",
    "4000::1",
    "::7f00:1",
  ])("is not %s", (address) => {
    expect(isPublicAddress(address)).toBe(false);
  });

  it.each(["2606:4700:4700::1111", "2a00:1450:4001::8a", "2620:fe::fe"])("is %s", (address) => {
    expect(isPublicAddress(address)).toBe(true);
  });

  it.each([
    "",
    "localhost",
    "127.1",
    "0x7f.0.0.1",
    "2130706433",
    "017700000001",
    "1.1.1.1 ",
    "[::1]",
    "1.1.1.1/8",
  ])("is not the text %j", (text) => {
    expect(isPublicAddress(text)).toBe(false);
  });

  it("whatever the IPv4 address, its IPv6 forms are judged as it is", () => {
    fc.assert(
      fc.property(fc.ipV4(), (v4) => {
        const [mapped = "", mappedHex = "", , nat64 = ""] = disguises(v4);
        for (const form of [mapped, mappedHex, nat64])
          expect(isPublicAddress(form)).toBe(isPublicAddress(v4));
      }),
    );
  });
});

describe("resolving a host", () => {
  it("refuses this machine by every name and number that a URL can carry", async () => {
    for (const text of [
      "localhost",
      "127.0.0.1",
      "127.1",
      "0x7f.1",
      "2130706433",
      "017700000001",
      "[::1]",
      "[::ffff:127.0.0.1]",
      "①②⑦.0.0.1",
      "0",
    ]) {
      const { hostname } = new URL(`http://${text}/`);
      await expect(resolvePublic(hostname, [])).rejects.toMatchObject({ code: "bad_request" });
    }
  });

  it("lets an allowed network pass, and no other", async () => {
    expect(await resolvePublic("127.0.0.1", ["127.0.0.0/8"])).toEqual(["127.0.0.1"]);
    expect(await resolvePublic("[::ffff:127.0.0.1]", ["127.0.0.0/8"])).toEqual(["::ffff:127.0.0.1"]);
    await expect(resolvePublic("10.0.0.1", ["127.0.0.0/8"])).rejects.toThrow(/10\.0\.0\.1/);
    await expect(resolvePublic("[2002:7f00:1::1]", ["127.0.0.0/8"])).rejects.toThrow(/no public address/);
  });

  it("says so when there is no such host", async () => {
    await expect(resolvePublic("nobody.invalid", [])).rejects.toThrow(/nobody\.invalid/);
  });

  it.each([
    "10.0.0.0",
    "10.0.0.0/33",
    "10.0.0.0/8/8",
    "ten/8",
    "fd00::/129",
    "10.0.0.0/-1",
  ])("refuses %s as a network", (cidr) => {
    expect(() => parseNetworks([cidr])).toThrow(/no network/);
  });
});

describe("where a cloud keeps the machine's credentials", () => {
  it.each([
    ["169.254.169.254", "169.254.0.0/16"],
    ["::ffff:169.254.169.254", "0.0.0.0/0"],
    ["168.63.129.16", "168.0.0.0/8"],
    ["fd00:ec2::254", "fd00::/8"],
    ["fd00:42::42", "fd00::/8"],
    ["169.254.0.23", "169.254.0.0/16"],
  ])("%s is not opened by %s, only by its own address", async (address, network) => {
    await expect(resolvePublic(address, [])).rejects.toThrow(/no public address/);
    await expect(resolvePublic(address, [network])).rejects.toThrow(/no public address/);
    const plain = address.replace("::ffff:", "");
    expect(await resolvePublic(address, [`${plain}/${plain.includes(":") ? 128 : 32}`])).toEqual([address]);
  });
});
