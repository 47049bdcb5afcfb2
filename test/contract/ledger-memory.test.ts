import { createMemoryLedger } from "../scenarios/memory-ledger.ts";
import { ledgerContract } from "./ledger.ts";

ledgerContract("memory", async () => {
  const projects: { id: string; name: string }[] = [];
  const ledger = createMemoryLedger(projects);
  return {
    ledger,
    async newProject() {
      const id = `prj_${projects.length + 1}`;
      projects.push({ id, name: id });
      return id;
    },
    auditOf: async (subject) =>
      ledger.rows.audit.filter((entry) => entry.subject.id === subject).map(({ action }) => action),
    async [Symbol.asyncDispose]() {},
  };
});
