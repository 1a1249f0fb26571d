document.addEventListener("submit", async (event) => {
  event.preventDefault();
  const headers = { "Content-Type": "application/json", "Optinb-Sandbox": "1" };
  const body = JSON.stringify({ to: event.target.elements.to.value });
  await fetch("/sandbox/clock", { method: "POST", headers, body });
  location.reload();
});
