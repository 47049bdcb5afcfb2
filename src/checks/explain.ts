import type { FailureClass } from "./model.ts";

export type Explanation = { readonly means: string; readonly next: string };

/** What a class of failure means, and what to do about it at 3 a.m. */
const CLASSES = {
  dns: {
    means: "The name has no address, or no name server could tell.",
    next: "Check the spelling and the DNS record; a record that is new takes its time to live to be seen.",
  },
  refused: {
    means: "The machine is there, and nothing listens at the port.",
    next: "See whether the service runs, and at which port; it may have died while starting.",
  },
  unreachable: {
    means: "There is no way to the machine: no route, or its network is down.",
    next: "Check that the machine runs, and the firewall, VPN or security group between it and the prober.",
  },
  reset: {
    means: "The connection was taken and then broken off before the answer was whole.",
    next: "Look into the service's log for a crash at that moment; else at the load balancer before it.",
  },
  timeout: {
    means: "Nothing came back in time.",
    next: "Look at its load and at what it waits for. If it is that slow by nature, give the check a longer timeout.",
  },
  tls: {
    means: "The two could not agree on an encrypted connection.",
    next: "Check that TLS is spoken at this port, and which versions it allows.",
  },
  certificate: {
    means: "The certificate is expired, of another name, or signed by nobody who is trusted.",
    next: "Renew it, or install it with its whole chain.",
  },
  status: {
    means: "It answered, with a status that was not asked for.",
    next: "Open the address and read the service's log; 5xx is its own error, 4xx mostly a wrong address.",
  },
  assertion: {
    means: "It answered, and the answer lacks what it must hold.",
    next: "Compare the answer with what the check asks for: one of the two is wrong.",
  },
  protocol: {
    means: "What came back is another protocol than the check speaks.",
    next: "Check the port, and whether a proxy or a maintenance page answers in its place.",
  },
  auth: {
    means: "It does not take the credentials of the check.",
    next: "Set them anew: `signalbox secret set NAME`, or the user and password of the address.",
  },
  slow: {
    means: "It answers well, and takes longer than its limit or than it did.",
    next: "Look at what it waits for: its database, its processor, what was deployed last.",
  },
  starting: {
    means: "It runs, and is starting, stopping or recovering.",
    next: "Wait; if it stays like this, its log says what it recovers from.",
  },
  overloaded: {
    means: "It turned the check away, being full.",
    next: "Raise its limit (connections, rate, memory), or find who uses it up.",
  },
  redirects: {
    means: "It redirected too often, or in a circle.",
    next: "Follow its redirects by `curl -IL`; http and https pointing at each other is the usual cause.",
  },
  too_large: {
    means: "The answer is larger than a check reads.",
    next: "Point the check at a small page, such as a health endpoint.",
  },
  missing: {
    means: "A worker, a node or a beat that should be there is not.",
    next: "See whether the worker runs and is connected to the same queue; of a heartbeat: whether the job ran.",
  },
  blocked: {
    means:
      "The address is private, and the guard let no request out to it. This says nothing of the service.",
    next: "If it is meant to be reached, an owner allows its network: `signalbox network allow CIDR --reason …`.",
  },
  unsupported: {
    means:
      "It cannot be asked from here: something is missing at our side. This says nothing of the service.",
    next: "Do what the message says.",
  },
  fault: {
    means: "The check itself failed by a fault of ours. This says nothing of the service.",
    next: "Look into the prober's log, and report it.",
  },
} as const satisfies Record<FailureClass, Explanation>;

export function explain(failureClass: FailureClass): Explanation {
  return CLASSES[failureClass];
}
