{{/* Where /models comes from, by models.source; nothing for the models in the image. */}}
{{- define "seqserve.modelsMount" -}}
{{- with .Values.models -}}
{{- if ne .source "image" }}
- name: models
  mountPath: /models
  readOnly: true
  {{- if and (eq .source "claim") .claim.subPath }}
  subPath: {{ .claim.subPath }}
  {{- end }}
  {{- if and (eq .source "oci") .oci.mount }}
  {{- with .oci.path | trimPrefix "/" }}
  subPath: {{ . }}
  {{- end }}
  {{- end }}
{{- end }}
{{- end -}}
{{- end -}}

{{- define "seqserve.modelsVolumes" -}}
{{- with .Values.models -}}
{{- if eq .source "claim" }}
- name: models
  persistentVolumeClaim:
    claimName: {{ .claim.name }}
    readOnly: true
{{- else if and (eq .source "oci") .oci.mount }}
- name: models
  image:
    reference: {{ .oci.image | quote }}
    pullPolicy: {{ $.Values.image.pullPolicy }}
{{- else if has .source (list "oci" "http") }}
- name: models
  emptyDir:
    sizeLimit: {{ .sizeLimit }}
{{- end }}
{{- if eq .source "http" }}
- name: archives
  configMap:
    name: {{ include "seqserve.archivesConfigMap" $ }}
    items:
      - key: {{ include "seqserve.archivesKey" $ }}
        path: archives.json
{{- end }}
{{- end -}}
{{- end -}}

{{- define "seqserve.initContainers" -}}
{{- $models := .Values.models -}}
{{- if and (eq $models.source "oci") (not $models.oci.mount) }}
initContainers:
  - name: models
    image: {{ $models.oci.image | quote }}
    imagePullPolicy: {{ .Values.image.pullPolicy }}
    command: [cp, -R, "{{ $models.oci.path | trimSuffix "/" }}/.", /to]
    resources:
      requests: {cpu: 100m, memory: 64Mi}
      limits: {memory: 256Mi}
    securityContext:
      {{- include "seqserve.containerSecurity" . | nindent 6 }}
    volumeMounts:
      - name: models
        mountPath: /to
{{- else if eq $models.source "http" }}
initContainers:
  - name: models
    image: {{ include "seqserve.image" . | quote }}
    imagePullPolicy: {{ .Values.image.pullPolicy }}
    command:
      - python3
      - -c
      - |-
        {{- .Files.Get "files/fetch_models.py" | trim | nindent 8 }}
      - /etc/seqserve/archives.json
      - /to
    {{- with $models.http }}
    {{- if .authorizationSecret }}
    env:
      - name: AUTHORIZATION
        valueFrom:
          secretKeyRef:
            name: {{ .authorizationSecret }}
            key: {{ .authorizationSecretKey }}
    {{- end }}
    {{- end }}
    resources:
      requests: {cpu: 100m, memory: 64Mi}
      limits: {memory: 256Mi}
    securityContext:
      {{- include "seqserve.containerSecurity" . | nindent 6 }}
    volumeMounts:
      - name: models
        mountPath: /to
      - name: tmp
        mountPath: /tmp
      - name: archives
        mountPath: /etc/seqserve
        readOnly: true
{{- end }}
{{- end -}}
