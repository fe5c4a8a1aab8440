// Passkeys. The ceremonies are django-allauth's (mfa/js/webauthn.js); the form says which of them its button starts.
const ids = { add: "passkey-go", authenticate: "passkey-go", login: "passkey-go", credential: "passkey-credential", passwordless: "id_passwordless" };
const words = {
  NotAllowedError: "Nothing was confirmed: it was called off, or took too long. Try again.",
  InvalidStateError: "This device holds a passkey of yours already.",
  SecurityError: "Passkeys need https:// and a name, not an IP address; on this machine http://localhost will do.",
};

for (const form of document.querySelectorAll("form[data-passkey]")) {
  if (document.getElementById("passkey-data")) ids.data = "passkey-data";
  window.allauth.webauthn.forms[form.dataset.passkey]({ ids });
}

document.addEventListener("allauth.error", (event) => {
  event.preventDefault();
  const fault = event.detail.exception, place = document.getElementById("passkey-wrong");
  place.textContent = words[fault.name] || (window.PublicKeyCredential ? `It did not work: ${fault.message}` : words.SecurityError);
  place.hidden = false;
});
