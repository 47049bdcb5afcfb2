import { expect, it } from "vitest";
import { resourcePath } from "./resource-path.ts";

it.each([
  ["/v13/deployments/dpl_1?teamId=x", "/deployments/dpl_1"],
  ["/now/deployments/a/aliases", "/deployments/a/aliases"],
  ["/v3/now/deployments/a/events", "/deployments/a/events"],
  ["/deployments", "/deployments"],
  ["/v2/user/", "/user"],
  ["/v9", "/"],
  ["/nowhere/x", "/nowhere/x"],
  ["/v1x/projects", "/v1x/projects"],
  ["/projects/now/env", "/projects/now/env"],
])("%s asks for %s", (path, resource) => expect(resourcePath(`http://127.0.0.1:1${path}`)).toBe(resource));
