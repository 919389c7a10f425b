"""What programs for editing and playing read: timelines and styled subtitles, a file for each form."""

from madvision_assets.domain.edit_list import Edit, EditForm


def written(edit: Edit, form: EditForm) -> str:
    """The edit as a file of a form."""
    from madvision_assets.tools.editors import edl, fcpxml, otio, xmeml

    write = {
        EditForm.OTIO: otio.written,
        EditForm.FCPXML: fcpxml.written,
        EditForm.PREMIERE: xmeml.written,
        EditForm.EDL: edl.written,
    }
    return write[form](edit)
