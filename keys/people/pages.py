"""The pages of a project's people: the list, inviting, changing a role, removing, and joining by a link."""

from allauth.account.utils import perform_login
from django.contrib import messages
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_safe

from keys.limits.tries import paced
from keys.models import Invitation, Member, Project
from keys.pages.showing import project_shown
from keys.people import invitations, mail, members
from keys.people.forms import ROLES, InviteForm, NewPersonForm, RoleForm
from keys.people.links import link
from keys.people.visitor import person
from keys.visibility import manages, owner_form, project_page
from persona.lib.problems import Problem

DEEDS = "30/m"  # for one person
JOINS = "20/m"  # for one address
KEPT = "invitation"  # in the session: the token leaves the address bar at once


@project_page
def member_list(request: HttpRequest, project: Project) -> HttpResponse:
    """Owners see open invitations too."""
    people = Member.objects.filter(project=project).select_related("user").order_by("role", "user__username")
    mine = manages(request.user, project)
    shown = {"people": list(people[:500]), "manages": mine, "pending": invitations.pending(project) if mine else []}
    return _page(request, project, "list", {**shown, "roles": ROLES})


@owner_form
@paced("people", DEEDS)
def invite(request: HttpRequest, project: Project) -> HttpResponse:
    form = InviteForm(request.POST if request.method == "POST" else None)
    if request.method == "POST" and form.is_valid():
        made, token = invitations.invite(project=project, **form.cleaned_data, actor=person(request))
        whole = link(request, "invitation-link", token)
        sent = mail.invitation(made, whole)
        return _page(request, project, "invited", {"invitation": made, "link": whole, "sent": sent})
    shown = {"form": form, "roles": ROLES, "sends": mail.sends()}
    return _page(request, project, "invite", shown, bad=form.is_bound)


@owner_form
@paced("people", DEEDS)
def withdraw(request: HttpRequest, project: Project, pk: int) -> HttpResponse:
    found = Invitation.objects.filter(project=project, pk=pk).first()
    if found is None:
        raise Http404
    if request.method == "POST":
        invitations.withdraw(invitation=found, actor=person(request))
        messages.success(request, "The invitation is withdrawn: its link no longer works.")
        return redirect("people", project.slug)
    return _page(request, project, "withdraw", {"invitation": found})


@owner_form
@paced("people", DEEDS)
def role(request: HttpRequest, project: Project, pk: int) -> HttpResponse:
    member = _member(project, pk)
    form = RoleForm(request.POST if request.method == "POST" else None, initial={"role": member.role})
    refused = ""
    if request.method == "POST" and form.is_valid():
        try:
            members.change_role(member=member, role=form.cleaned_data["role"], actor=person(request))
        except Problem as problem:
            refused = problem.detail
        else:
            messages.success(request, f"{member.user} is {form.cleaned_data['role']} now.")
            return redirect("people", project.slug)
    shown = {"form": form, "member": member, "roles": ROLES, "refused": refused}
    return _page(request, project, "role", shown, bad=form.is_bound)


@owner_form
@paced("people", DEEDS)
def remove(request: HttpRequest, project: Project, pk: int) -> HttpResponse:
    member = _member(project, pk)
    refused = ""
    if request.method == "POST":
        try:
            members.remove(member=member, actor=person(request))
        except Problem as problem:
            refused = problem.detail
        else:
            messages.success(request, f"{member.user} is no longer a member of {project}.")
            return redirect("home" if member.user == request.user else reverse("people", args=[project.slug]))
    return _page(request, project, "remove", {"member": member, "refused": refused}, bad=bool(refused))


@never_cache
@require_safe
def open_link(request: HttpRequest, token: str) -> HttpResponse:
    """Nothing happens yet: mail programs open links too. The token goes into the session, out of sight."""
    if invitations.find(token) is not None:
        request.session[KEPT] = token
    elif KEPT in request.session:
        del request.session[KEPT]
    return redirect("invitation")


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
@paced("join", JOINS, key="ip")
def accept(request: HttpRequest) -> HttpResponse:
    """Join as who is signed in, or make an account first. The form names the invitation that it showed: another link,
    opened in the same browser meanwhile, must not take its place."""
    found = invitations.find(str(request.session.get(KEPT, "")))
    if found is None:
        detail = "It has been used, withdrawn, or is older than 7 days. Ask for another one."
        return render(request, "error.html", {"title": "This invitation does not work", "detail": detail}, status=404)
    pressed = request.POST.get("invitation") == str(found.pk)
    form = NewPersonForm(request.POST if pressed else None, initial={"email": found.email})
    if pressed and (request.user.is_authenticated or form.is_valid()):
        return _join(request, form)
    shown = {"invitation": found, "does": ROLES[found.role], "form": form}
    return render(request, "people/join.html", shown, status=422 if request.method == "POST" else 200)


def _join(request: HttpRequest, form: NewPersonForm) -> HttpResponse:
    token = str(request.session.pop(KEPT))
    with transaction.atomic():  # no account without its project
        who = person(request) if request.user.is_authenticated else form.save()
        member = invitations.accept(token=token, person=who)
        if member is None:
            raise Http404  # somebody else was a moment faster
    messages.success(request, f"You are {member.role} of {member.project} now.")
    there = reverse("project", args=[member.project.slug])
    if request.user.is_authenticated:
        return redirect(there)
    entered: HttpResponse = perform_login(request, who, redirect_url=there)
    return entered


def _member(project: Project, pk: int) -> Member:
    found = Member.objects.select_related("user", "project").filter(project=project, pk=pk).first()
    if found is None:
        raise Http404
    return found


def _page(
    request: HttpRequest, project: Project, name: str, shown: dict[str, object], *, bad: bool = False
) -> HttpResponse:
    return project_shown(request, project, f"people/{name}.html", shown, here="people", status=422 if bad else 200)
