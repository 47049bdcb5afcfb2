import { parseConfig } from "./parse-config.ts";

/** The folders of a configuration whose .sql files we read ourselves. None for one that is not valid. */
export function migrationDirs(text: string): string[] {
  const parsed = parseConfig(text);
  if (!parsed.ok || !parsed.config.migrations) return [];
  const { expand, contract } = parsed.config.migrations;
  return [expand, contract].filter((dir) => dir !== undefined);
}
