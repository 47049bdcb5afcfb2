import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";

const run = promisify(execFile);
const DAY_MS = 86_400_000;

export type Identity = { readonly key: string; readonly cert: string };

export type Certificates = {
  /** PEM of the authority that signed all but `selfSigned`. */
  readonly ca: string;
  /** For `localhost`, `shop.localhost` and the loopback addresses, for 90 days. */
  readonly good: Identity;
  readonly expired: Identity;
  readonly notYet: Identity;
  readonly soon: Identity;
  readonly otherName: Identity;
  readonly selfSigned: Identity;
  /** For 90 days, by an authority of our authority's that ends in 5; the whole chain. */
  readonly bySoonAuthority: Identity;
};

/** Real certificates of every kind that a peer may show, by an authority of the test's own. */
export async function makeCertificates(): Promise<Certificates> {
  const dir = await mkdtemp(join(tmpdir(), "certificates-"));
  try {
    const openssl = (...args: string[]) => run("openssl", args, { cwd: dir });
    const ec = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
    const own = ["req", "-x509", ...ec, "-days", "90"];
    await openssl(...own, "-subj", "/CN=Test authority", "-keyout", "ca.key", "-out", "ca.pem");
    await writeFile(join(dir, "index.txt"), "");
    await writeFile(join(dir, "ca.cnf"), CONFIGURATION);
    const read = (name: string) => readFile(join(dir, name), "utf8");
    const issue = async (
      name: string,
      fromDays: number,
      toDays: number,
      names = LOCAL,
      more = "",
      by = "ca",
    ): Promise<Identity> => {
      await openssl("req", ...ec, "-subj", `/CN=${name}`, "-keyout", `${name}.key`, "-out", `${name}.csr`);
      await writeFile(join(dir, `${name}.ext`), `subjectAltName=${names}\n${more}`);
      const term = ["-startdate", stamp(fromDays), "-enddate", stamp(toDays)];
      const files = ["-in", `${name}.csr`, "-out", `${name}.pem`, "-extfile", `${name}.ext`];
      await openssl(
        "ca",
        "-batch",
        "-notext",
        "-config",
        `${by}.cnf`,
        "-keyfile",
        `${by}.key`,
        ...term,
        ...files,
      );
      return { key: await read(`${name}.key`), cert: await read(`${name}.pem`) };
    };
    const below = await issue("below", -80, 5, LOCAL, "basicConstraints=CA:TRUE\n");
    await writeFile(join(dir, "below.cnf"), CONFIGURATION.replace("ca.pem", "below.pem"));
    const leaf = await issue("leaf", -1, 90, LOCAL, "", "below");
    const self = ["-keyout", "self.key", "-out", "self.pem", "-addext", `subjectAltName=${LOCAL}`];
    await openssl(...own, "-subj", "/CN=localhost", ...self);
    return {
      ca: await read("ca.pem"),
      good: await issue("good", -1, 90),
      expired: await issue("expired", -30, -3),
      notYet: await issue("not-yet", 2, 90),
      soon: await issue("soon", -80, 5),
      otherName: await issue("other", -1, 90, "DNS:shop.example.com"),
      bySoonAuthority: { key: leaf.key, cert: leaf.cert + below.cert },
      selfSigned: { key: await read("self.key"), cert: await read("self.pem") },
    };
  } finally {
    await rm(dir, { recursive: true });
  }
}

const LOCAL = "DNS:localhost,DNS:shop.localhost,IP:127.0.0.1,IP:::1";

/** `openssl ca` alone takes both dates; `openssl x509` begins at the present day. */
const CONFIGURATION = `
[ca]
default_ca = own
[own]
dir = .
database = index.txt
rand_serial = yes
new_certs_dir = .
certificate = ca.pem
private_key = ca.key
default_md = sha256
policy = any
unique_subject = no
[any]
commonName = supplied
`;

function stamp(days: number): string {
  const date = new Date(Date.now() + days * DAY_MS + 3_600_000);
  return `${date.toISOString().replace(/[-:T]/g, "").slice(0, 14)}Z`;
}
