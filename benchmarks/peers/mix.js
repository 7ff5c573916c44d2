// k6: three lists to one creation, with a bearer token
import http from "k6/http";
const host = __ENV.HOST;
const headers = { Authorization: "Bearer " + "x".repeat(180) };
const create = { headers: Object.assign({ "Content-Type": "application/json" }, headers), tags: { name: "create_task" } };
const list = { headers: headers, tags: { name: "list_tasks" } };
const body = '{"prompt":"Write a document about seamless networks for a company of three.","output_type":"docs"}';
export const options = { vus: 100, duration: __ENV.SECONDS + "s", discardResponseBodies: true };
export default function () {
  for (let i = 0; i < 3; i++) http.get(host + "/api/v1/tasks?page=1&page_size=20", list);
  http.post(host + "/api/v1/tasks", body, create);
}
