// The tasks of this browser's guest: logs in, creates tasks, shows the newest page of them.
const API = "/api/v1";
const REFRESH_MS = 2000;
const list = document.getElementById("tasks");
const trouble = document.getElementById("trouble");
let token = null;

const unique = () => Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");

async function logIn() {
  const device = localStorage.getItem("device") ?? unique();
  localStorage.setItem("device", device);
  token = null;
  token = (await call("POST", "/auth/guest", { device_id: device, name: "Guest" })).access_token;
}

async function call(method, path, body, headers = {}, again = path !== "/auth/guest") {
  const response = await fetch(API + path, {
    method,
    headers: { "Content-Type": "application/json", ...(token && { Authorization: `Bearer ${token}` }), ...headers },
    body: body && JSON.stringify(body),
  });
  if (response.status === 401 && again) {
    await logIn();
    return call(method, path, body, headers, false);
  }
  if (!response.ok) throw new Error(`${method} ${path}: ${response.status}`);
  return response.json();
}

function row(task) {
  const item = document.createElement("li");
  const prompt = document.createElement("span");
  const status = document.createElement("b");
  prompt.textContent = task.prompt;
  status.textContent = status.className = task.status;
  item.append(prompt, task.output_type, status);
  return item;
}

async function show() {
  const { tasks } = await call("GET", "/tasks");
  list.replaceChildren(...tasks.map(row));
}

async function attempt(step) {
  try {
    await step();
    trouble.textContent = "";
  } catch (error) {
    trouble.textContent = error.message;
  }
}

document.getElementById("create").addEventListener("submit", (event) => {
  event.preventDefault();
  const form = event.target;
  attempt(async () => {
    // The key makes it safe to send this again.
    await call("POST", "/tasks", Object.fromEntries(new FormData(form)), { "Idempotency-Key": unique() });
    form.reset();
    await show();
  });
});

await attempt(show);
setInterval(() => attempt(show), REFRESH_MS);
